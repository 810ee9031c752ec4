// The page that a device sees until it is paired.

const field = (id) => /** @type {HTMLInputElement} */ (document.getElementById(id));
const problem = field("problem");

field("code").value = decodeURIComponent(location.hash.slice(1));
history.replaceState(null, "", "/pair");
field(field("code").value ? "name" : "code").focus();

field("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = JSON.stringify({ code: field("code").value, name: field("name").value });
  const options = { method: "POST", headers: { "content-type": "application/json" }, body };
  const answer = await fetch("/pair", options).catch(() => null);
  if (answer?.ok) location.replace("/");
  else problem.textContent = answer ? (await answer.json()).error : "The computer cannot be reached.";
});
