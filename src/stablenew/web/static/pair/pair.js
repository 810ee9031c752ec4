// The page that a device sees until it is paired.

const field = (id) => /** @type {HTMLInputElement} */ (document.getElementById(id));
const problem = field("problem");

/** The code of a link stands behind its #, where no server sees it; nor does it stay in the history. */
function readCode() {
  if (location.hash) field("code").value = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, "", "/pair");
  field(field("code").value ? "name" : "code").focus();
}

readCode();
window.addEventListener("hashchange", readCode);

field("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = JSON.stringify({ code: field("code").value, name: field("name").value });
  const options = { method: "POST", headers: { "content-type": "application/json" }, body };
  const answer = await fetch("/pair", options).catch(() => null);
  if (answer?.ok) location.replace("/");
  else problem.textContent = answer ? (await answer.json()).error : "The computer cannot be reached.";
});
