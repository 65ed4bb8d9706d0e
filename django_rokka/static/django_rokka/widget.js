/**
 * <rokka-image-input>: what the server drew, with upload at once, drag and drop, a picker and undo.
 *
 * A custom element, so that rows which a formset adds come alive by themselves. It has three things to
 * say: a token in the hidden input (a picture that is at rokka), a ticked box (cleared), or a file in the
 * file input, which goes with the form as ever.
 */

const PREFIX = "rokka-image-input__";
/** The elements that are uploading: their forms wait. */
const uploading = new Set();
/** What the user may do, by address: asked once for all rows with the same field. */
const abilities = new Map();

function abilitiesAt(address) {
    if (!abilities.has(address)) {
        const answer = address
            ? fetch(address, {headers: {Accept: "application/json"}}).then((response) => response.json())
            : Promise.reject();
        // Who may not ask may do nothing; the form works all the same.
        abilities.set(address, answer.catch(() => ({})));
    }
    return abilities.get(address);
}

/** Post a file. Gives a promise of the picture, whose error has a text for people, and the way to stop. */
function send(address, file, csrf, texts, onProgress) {
    const request = new XMLHttpRequest();
    const data = new FormData();
    data.append("csrfmiddlewaretoken", csrf);
    data.append("file", file);
    const done = new Promise((resolve, reject) => {
        request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
        request.onload = () => {
            const answer = request.response;
            answer?.token ? resolve(answer) : reject(new Error(answer?.error || trouble(request, texts)));
        };
        request.onerror = () => reject(new Error(texts.textNetwork));
        request.onabort = () => reject(new DOMException("", "AbortError"));
    });
    request.open("POST", address);
    request.responseType = "json";
    request.send(data);
    return {done, abort: () => request.abort()};
}

function trouble(request, texts) {
    if (request.status === 413) {
        return texts.textLarge;
    }
    // A page of another address is the login.
    const elsewhere = request.status === 200;
    return elsewhere || request.status === 403 ? texts.textRefused : texts.textTrouble;
}

class RokkaImageInput extends HTMLElement {
    connectedCallback() {
        // Called again when the element is moved within the page.
        if (this.input) {
            return;
        }
        this.input = this.querySelector("input[type=file]");
        this.token = this.querySelector("input[type=hidden]");
        this.box = this.querySelector("input[type=checkbox]");
        // unfold's script would look for a text field beside it, and fail.
        this.input.hasChangeListener = true;
        this.watchPreview();
        if (this.input.matches(":disabled")) {
            return;
        }
        this.own = read(this.dataset.initial);
        this.pending = read(this.dataset.pending);
        this.required = this.input.required;
        this.may = {};
        this.listen();
        this.classList.add("rokka-image-input--live");
        this.show();
        abilitiesAt(this.dataset.abilities).then((may) => {
            this.may = may;
            this.show();
        });
    }

    disconnectedCallback() {
        this.stop();
    }

    part(name) {
        return this.querySelector(`.${PREFIX}${name}`);
    }

    listen() {
        const on = (name, action) => this.part(name).addEventListener("click", action);
        on("pick", () => this.pick());
        on("discard", () => this.clear());
        on("undo", () => this.undo());
        on("cancel", () => this.undo());
        on("retry", () => this.chooseFile());
        this.input.addEventListener("change", () => this.chooseFile());
        this.addEventListener("dragover", (event) => this.dragOver(event));
        this.addEventListener("dragleave", (event) => this.contains(event.relatedTarget) || this.mark(false));
        this.addEventListener("drop", (event) => this.drop(event));
    }

    // --- What a person does -----------------------------------------------------------------------

    async pick() {
        // By the address that the server gave: with hashed names of static files it is not beside this one.
        const {pick} = await import(new URL(this.dataset.pickerScript, document.baseURI).href);
        const picture = await pick(this.dataset.picker, {
            label: this.dataset.textPicker,
            trouble: this.dataset.textPickerTrouble,
        });
        if (picture) {
            this.choose(picture);
        }
    }

    /** Show a picture that is at rokka, in place of whatever was chosen before. */
    choose(picture) {
        this.reset();
        this.pending = picture;
        this.show();
    }

    clear() {
        this.reset();
        this.box.checked = true;
        this.show();
        this.part("undo").focus();
    }

    undo() {
        this.reset();
        this.show();
        this.input.focus();
    }

    reset() {
        this.input.value = "";
        this.forget();
    }

    /** Let go of what was chosen before; a file in the input stays. */
    forget() {
        this.stop();
        this.pending = null;
        this.failed = false;
        if (this.box) {
            this.box.checked = false;
        }
        this.say("");
    }

    dragOver(event) {
        if (event.dataTransfer.types.includes("Files")) {
            event.preventDefault();
            event.dataTransfer.dropEffect = "copy";
            this.mark(true);
        }
    }

    drop(event) {
        this.mark(false);
        const [file] = event.dataTransfer.files;
        if (!file) {
            return;
        }
        event.preventDefault();
        const one = new DataTransfer();
        one.items.add(file);
        this.input.files = one.files;
        this.input.dispatchEvent(new Event("change", {bubbles: true}));
    }

    mark(over) {
        this.classList.toggle("rokka-image-input--over", over);
    }

    // --- Uploading --------------------------------------------------------------------------------

    async chooseFile() {
        const [file] = this.input.files;
        this.forget();
        this.show();
        const {upload} = await abilitiesAt(this.dataset.abilities);
        if (file && upload && this.dataset.upload && file === this.input.files[0]) {
            await this.upload(file);
        }
    }

    async upload(file) {
        const csrf = this.input.form.elements.csrfmiddlewaretoken?.value ?? "";
        this.sending = send(this.dataset.upload, file, csrf, this.dataset, (part) => this.progress(part));
        const sending = this.sending;
        uploading.add(this);
        this.progress(0);
        this.show();
        try {
            const picture = await sending.done;
            this.choose(picture);
        } catch (error) {
            // The file stays in the input, so saving the form still uploads it.
            this.failed = error.name !== "AbortError";
            this.say(error.message, true);
        } finally {
            if (this.sending === sending) {
                this.stop();
                this.show();
            }
        }
    }

    progress(part) {
        const bar = this.part("progress").querySelector("progress");
        const percent = Math.round(100 * part);
        if (percent < 100) {
            bar.value = percent;
            this.part("percent").textContent = this.dataset.textUploading.replace("{percent}", percent);
        } else {
            // The server has it, and sends it on: how far that is, nobody says.
            bar.removeAttribute("value");
            this.part("percent").textContent = this.dataset.textStoring;
        }
    }

    stop() {
        const {sending} = this;
        this.sending = null;
        uploading.delete(this);
        sending?.abort();
    }

    // --- What is seen -----------------------------------------------------------------------------

    /** Draw everything anew from what is chosen. */
    show() {
        const cleared = this.box?.checked ?? false;
        const picture = this.pending ?? this.own;
        this.token.value = this.pending?.token ?? "";
        this.input.required = this.required && !this.pending;
        this.classList.toggle("rokka-image-input--cleared", cleared);
        this.showPicture(picture);
        this.part("state").textContent = this.dataset[
            cleared ? "textCleared" : this.pending ? "textPending" : "textInitial"
        ];
        this.showControls(cleared, picture);
    }

    showPicture(picture) {
        const [preview, image, link] = [this.part("preview"), this.querySelector("img"), this.part("link")];
        preview.hidden = !picture?.url;
        this.part("name").hidden = !picture;
        if (!picture) {
            return;
        }
        for (const element of [preview, link]) {
            picture.url ? (element.href = picture.url) : element.removeAttribute("href");
        }
        if (picture.thumbnail && image.getAttribute("src") !== picture.thumbnail) {
            this.seen(true);
            image.src = picture.thumbnail;
        }
        image.alt = link.textContent = picture.name;
        this.part("size").textContent = picture.width && picture.height ? `${picture.width} × ${picture.height}` : "";
    }

    showControls(cleared, picture) {
        const changed = Boolean(cleared || this.pending || this.input.files.length);
        const shown = {
            progress: this.sending,
            change: !this.sending,
            hint: !this.sending,
            actions: true,
            clear: false,
            pick: this.may.pick && this.dataset.picker && !this.sending,
            focus: this.may.focus && picture?.focus && !cleared && !this.sending,
            "discard": this.box && !changed,
            undo: changed && !this.sending,
            retry: this.failed && !this.sending,
        };
        for (const [name, visible] of Object.entries(shown)) {
            const part = this.part(name);
            if (part) {
                part.hidden = !visible;
            }
        }
        if (picture?.focus) {
            this.part("focus").href = picture.focus;
        }
    }

    say(text, isError = false) {
        const message = this.part("message");
        message.textContent = text;
        message.classList.toggle("rokka-image-input__message--error", isError);
    }

    /** A box in place of a picture that cannot be shown, such as a protected one. */
    watchPreview() {
        const image = this.querySelector("img");
        image.addEventListener("error", () => this.seen(false));
        image.addEventListener("load", () => this.seen(true));
        if (image.getAttribute("src") && image.complete && !image.naturalWidth) {
            this.seen(false);
        }
    }

    seen(visible) {
        this.querySelector("img").hidden = !visible;
        this.part("unseen").hidden = visible;
    }
}

function read(json) {
    return json ? JSON.parse(json) : null;
}

/** Hold a form back until its uploads are done, then send it by the same button; not if one failed. */
async function wait(form, button, elements) {
    for (const element of elements) {
        element.say(element.dataset.textWaiting);
    }
    const ends = await Promise.allSettled(elements.map((element) => element.sending.done));
    const failed = elements.find((element, index) => ends[index].status === "rejected");
    delete form.rokkaWaits;
    if (failed) {
        failed.input.focus();
    } else {
        // After the elements have put their tokens into the form.
        setTimeout(() => form.requestSubmit(button?.isConnected ? button : null));
    }
}

document.addEventListener("submit", (event) => {
    const form = event.target;
    const elements = [...uploading].filter((element) => element.input.form === form);
    if (!elements.length) {
        return;
    }
    event.preventDefault();
    // Nobody else shall take it for sent.
    event.stopImmediatePropagation();
    if (!form.rokkaWaits) {
        form.rokkaWaits = true;
        wait(form, event.submitter, elements);
    }
}, true);

customElements.define("rokka-image-input", RokkaImageInput);
