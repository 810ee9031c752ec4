"""What tests of the page use of Playwright. Without it, those that need a browser are skipped."""

try:
    from playwright.sync_api import TimeoutError as PlaywrightTimeout
    from playwright.sync_api import expect
except ImportError:
    expect = PlaywrightTimeout = None
else:
    expect.set_options(timeout=30_000)  # a busy machine is slow, and not wrong
