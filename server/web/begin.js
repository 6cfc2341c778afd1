/**
 * Before anything is drawn: the language of the page, whether the entrance waits for the modules, and whether the header
 * keeps the places of what belongs to the game. It is no module itself: a browser draws nothing until it has run. What it
 * finds stands on the root, for style.css and for the modules.
 */
{
	const root = document.documentElement;
	const kept = (key) => {
		try {
			return localStorage.getItem(`click-and-cook.${key}`);
		} catch {
			return null;
		}
	};
	const chosen = kept("language");
	root.lang = ["en", "ru"].includes(chosen) ? chosen : navigator.language.startsWith("ru") ? "ru" : "en";
	// Somebody new may cook at once; all others wait until the modules know what to show them.
	const returns = kept("tokens") !== null && location.hash === "";
	const comesBack = returns || kept("has-account") !== null || location.hash !== "";
	const guests = document.querySelector("[name=offers]").content.includes("guests");
	if (guests && !comesBack) root.classList.remove("waits");
	root.classList.toggle("returns", returns);
	// A press that comes before the modules is theirs: see Entrance.
	addEventListener("submit", (event) => {
		if (event.defaultPrevented) return;
		event.preventDefault();
		root.dataset.pressed = "1";
	});
}
