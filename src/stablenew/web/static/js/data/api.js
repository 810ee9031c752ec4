// Talking to the server.

/** The server answered that it could not be done. */
export class Refused extends Error {
  /** @param {number} status @param {any} body */
  constructor(status, body) {
    super(body?.error ?? `the server answered ${status}`);
    this.status = status;
    this.position = body?.position;
  }
}

/** Nobody answered. */
export class Unreachable extends Error {}

/** Whether this page came through the network. */
export const isDevice = () => globalThis.location?.protocol === "https:";

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Unreachable("the server cannot be reached");
  }
  if (response.ok) return response;
  if (response.status === 401 && isDevice()) location.assign("/pair"); // it was revoked
  const body = await response.json().catch(() => null);
  throw new Refused(response.status, body);
}

function address(path, parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return search ? `${path}?${search}` : path;
}

/** @returns {Promise<any>} */
export async function getJson(path, parameters = {}, signal = undefined) {
  return (await ask(address(path, parameters), { signal })).json();
}

/** @returns {Promise<ArrayBuffer>} */
export async function getBytes(path, parameters = {}, signal = undefined) {
  return (await ask(address(path, parameters), { signal })).arrayBuffer();
}

const post = (path, body) =>
  ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

/** @returns {Promise<any>} */
export const postJson = async (path, body = {}) => (await post(path, body)).json();

/** @returns {Promise<Blob>} */
export const postBlob = async (path, body) => (await post(path, body)).blob();

export const thumbnailUrl = (runId, digest, size) => `/thumbnails/${runId}/${digest.slice(7)}/${size}`;
export const outputUrl = (runId, digest) => `/outputs/${runId}/${digest.slice(7)}`;
export const runUrl = (runId) => `/runs/${runId}`;
