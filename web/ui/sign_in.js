// The way in, where the daemon asks for tokens: one field, sent once; what stays is a cookie that
// scripts cannot read.
import { sign_in } from "./api.js";
import { h, replace } from "./dom.js";

// `then` runs when somebody has signed in; `why` is said first.
export function ask_token(main, then, why = null) {
    const said = h("div", {}, why ? h("p", { class: "what" }, why) : null);
    const token = h("input", { id: "token", type: "password", required: true, autocomplete: "current-password", spellcheck: "false" });
    const go = h("button", { type: "submit", class: "primary" }, "Sign in");
    const submit = async (event) => {
        event.preventDefault();
        go.disabled = true;
        try {
            await sign_in(token.value.trim());
            token.value = "";
            await then();
        } catch (error) {
            replace(said, h("p", { class: "bad", role: "alert" }, error.message, error.status === 401 ? ". Tokens are made with " : "", error.status === 401 ? h("code", {}, "assay token new NAME read") : ""));
            token.select();
        } finally {
            go.disabled = false;
        }
    };
    replace(main, h("section", { class: "sign-in", "aria-labelledby": "sign-in-title" }, h("h1", { id: "sign-in-title" }, "Sign in"),
        h("form", { class: "form", onsubmit: submit, novalidate: true },
            h("p", { class: "what" }, "This daemon asks for a token. It is sent once; a cookie then keeps you signed in for twelve hours."), said,
            h("label", { for: "token" }, "Token"), token, h("div", { class: "actions" }, go))));
    token.focus();
}
