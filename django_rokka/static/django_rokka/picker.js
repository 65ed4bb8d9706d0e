/** The picker: a dialog with the pictures at rokka. Its pages are HTML from the server. */

const PAUSE = 250;

/**
 * Let a person choose a picture. `address` is that of the picker, `texts` what to say before its page is there
 * (`label`, `trouble`). Gives the picture, or null; the focus returns to where it was.
 */
export function pick(address, texts) {
    const dialog = document.createElement("dialog");
    dialog.className = "rokka-picker";
    dialog.setAttribute("aria-label", texts.label);
    document.body.append(dialog);
    return new Promise((resolve) => {
        const picker = new Picker(dialog, address, texts);
        dialog.addEventListener("close", () => {
            picker.leave();
            dialog.remove();
            resolve(picker.picture);
        });
        dialog.showModal();
        picker.open();
    });
}

class Picker {
    picture = null;

    constructor(dialog, address, texts) {
        Object.assign(this, {dialog, address, texts});
        dialog.addEventListener("click", (event) => this.click(event));
        dialog.addEventListener("keydown", (event) => this.key(event));
        dialog.addEventListener("input", () => this.searchSoon());
        dialog.addEventListener("submit", (event) => {
            event.preventDefault();
            this.search();
        });
    }

    async open() {
        const page = await this.load("", 1);
        if (page) {
            this.dialog.replaceChildren(...page.body.childNodes);
            this.say();
            // On a touch screen the keyboard would hide the pictures.
            const start = matchMedia("(hover: hover)").matches ? "[name=q]" : ".rokka-picker__close";
            this.dialog.querySelector(start).focus();
        }
    }

    leave() {
        clearTimeout(this.timer);
        this.request?.abort();
    }

    click(event) {
        const choice = event.target.closest(".rokka-picker__choice");
        const turn = event.target.closest("[data-page]");
        if (choice) {
            this.picture = JSON.parse(choice.dataset.picture);
            this.dialog.close();
        } else if (turn) {
            this.show(this.text, turn.dataset.page, true);
        } else if (event.target === this.dialog || event.target.closest(".rokka-picker__close")) {
            this.dialog.close();
        }
    }

    // --- Pages ------------------------------------------------------------------------------------

    searchSoon() {
        clearTimeout(this.timer);
        this.timer = setTimeout(() => this.search(), PAUSE);
    }

    search() {
        clearTimeout(this.timer);
        const {value} = this.dialog.querySelector("[name=q]");
        if (value.trim() !== (this.text ?? "")) {
            this.show(value.trim(), 1);
        }
    }

    async show(text, page, focuses = false) {
        const found = await this.load(text, page);
        if (!found) {
            return;
        }
        this.dialog.querySelector(".rokka-picker__results").replaceWith(found.querySelector(".rokka-picker__results"));
        this.say();
        if (focuses) {
            this.dialog.querySelector(".rokka-picker__choice")?.focus();
        }
        this.dialog.scrollTop = 0;
    }

    /** A page of the server; null if it did not come, or another one was asked for meanwhile. */
    async load(text, page) {
        this.request?.abort();
        const request = this.request = new AbortController();
        this.dialog.setAttribute("aria-busy", "true");
        try {
            const query = new URLSearchParams({q: text, page});
            const response = await fetch(`${this.address}?${query}`, {signal: request.signal});
            // Of another address is the login.
            if (!response.ok || response.redirected) {
                throw new Error(response.statusText);
            }
            const found = new DOMParser().parseFromString(await response.text(), "text/html");
            this.text = text;
            return found;
        } catch (error) {
            return error.name === "AbortError" ? null : this.fail();
        } finally {
            if (this.request === request) {
                this.dialog.removeAttribute("aria-busy");
            }
        }
    }

    say() {
        const {status} = this.dialog.querySelector(".rokka-picker__results").dataset;
        this.dialog.querySelector(".rokka-picker__status").textContent = status;
    }

    fail() {
        let status = this.dialog.querySelector(".rokka-picker__status");
        if (!status) {
            status = document.createElement("p");
            status.className = "rokka-picker__status";
            this.dialog.append(status);
        }
        status.textContent = this.texts.trouble;
        return null;
    }

    // --- Keys: Tab and Enter are the browser's, Escape the dialog's --------------------------------

    key(event) {
        const choices = [...this.dialog.querySelectorAll(".rokka-picker__choice")];
        const index = choices.indexOf(document.activeElement);
        const target = index < 0 ? this.first(event, choices) : choices[index + step(event, choices, index)];
        if (target) {
            event.preventDefault();
            target.focus();
        }
    }

    /** From the search down into the pictures. */
    first(event, choices) {
        return event.key === "ArrowDown" && event.target.name === "q" ? choices[0] : null;
    }
}

/** How far a key leads: by one, or by a row, whose length depends on the width of the window. */
function step(event, choices, index) {
    const top = (choice) => choice.getBoundingClientRect().top;
    const columns = choices.filter((choice) => top(choice) === top(choices[0])).length;
    return {
        ArrowRight: 1,
        ArrowLeft: -1,
        ArrowDown: columns,
        ArrowUp: -columns,
        Home: -index,
        End: choices.length - 1 - index,
    }[event.key];
}
