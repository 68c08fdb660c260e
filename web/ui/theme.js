// Before the first paint, so that nothing flashes: the theme that was chosen, else the system's.
try {
    const chosen = localStorage.getItem("theme");
    if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
} catch {
    // Storage may be off: the system's theme it is.
}
