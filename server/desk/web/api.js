/**
 * The server's side of the desk. The token lives in this tab alone (sessionStorage) and goes in a header: unlike a
 * cookie it is sent to this very port and to no other, and no other site's page can have it sent.
 */

const KEY = "click-and-cook.desk.token";

/** What the server refuses: `message` says why, `status` is HTTP's; 0 where it did not answer. */
export class Refused extends Error {
	constructor(status, message) {
		super(message);
		this.status = status;
	}
}

export const token = () => sessionStorage.getItem(KEY);
export const keepToken = (text) => sessionStorage.setItem(KEY, text);
export const forgetToken = () => sessionStorage.removeItem(KEY);

/** Asks a path; with fields it is a POST of them. A signal ends the waiting. */
export async function ask(path, fields, signal) {
	const headers = { Authorization: `Bearer ${token() ?? ""}` };
	if (fields) headers["Content-Type"] = "application/json";
	let answer;
	try {
		answer = await fetch(`/api/${path}`, {
			method: fields ? "POST" : "GET",
			headers,
			body: fields && JSON.stringify(fields),
			cache: "no-store",
			credentials: "omit",
			signal,
		});
	} catch {
		throw new Refused(0, "");
	}
	const said = await answer.json().catch(() => ({}));
	if (!answer.ok) throw new Refused(answer.status, said.message ?? String(answer.status));
	return said;
}
