// Okabe and Ito's colours, adjusted so that lines keep 3:1 on both grounds; a version is told apart
// by dash and marker, too.
const light = ["#0072b2", "#c44f00", "#00785a", "#a8437f", "#8a6500", "#2b5fd9", "#5c5c5c"];
const dark = ["#56b4e9", "#ff9a4d", "#2fd1a0", "#ee9ccb", "#e6c229", "#9db8ff", "#c9c9c9"];
const dashes = [[], [7, 4], [2, 3], [10, 3, 2, 3], [4, 2, 1, 2], [1, 4], [12, 4]];

export function is_dark() {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}
export const colour = (i) => (is_dark() ? dark : light)[i % light.length];
export const dash = (i) => dashes[(i + Math.floor(i / light.length)) % dashes.length]; // the eighth has the first's colour, not its dash
export const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
