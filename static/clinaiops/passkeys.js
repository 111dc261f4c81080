/* Passkeys: a form marked `data-passkey` asks the server what to ask for, asks the browser's authenticator, and is sent
 * with the answer in its field `credential`. `create` makes a passkey, `get` uses one. Nothing is stored or loaded.
 */
(function () {
  "use strict";

  function bytes(text) {
    var base = text.replace(/-/g, "+").replace(/_/g, "/");
    var raw = window.atob(base + "===".slice((base.length + 3) % 4));
    return Uint8Array.from(raw, function (c) { return c.charCodeAt(0); });
  }

  function text(buffer) {
    var raw = "";
    new Uint8Array(buffer).forEach(function (b) { raw += String.fromCharCode(b); });
    return window.btoa(raw).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  }

  function named(list) {
    return (list || []).map(function (one) { return Object.assign({}, one, { id: bytes(one.id) }); });
  }

  function forBrowser(kind, said) {
    var asked = Object.assign({}, said, { challenge: bytes(said.challenge) });
    if (kind === "create") {
      asked.user = Object.assign({}, said.user, { id: bytes(said.user.id) });
      asked.excludeCredentials = named(said.excludeCredentials);
    } else {
      asked.allowCredentials = named(said.allowCredentials);
    }
    return { publicKey: asked };
  }

  function forServer(made) {
    var answer = {};
    ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"].forEach(function (name) {
      if (made.response[name]) { answer[name] = text(made.response[name]); }
    });
    return {
      id: made.id,
      rawId: text(made.rawId),
      type: made.type,
      response: answer,
      clientExtensionResults: made.getClientExtensionResults(),
      authenticatorAttachment: made.authenticatorAttachment || null
    };
  }

  function options(form) {
    var body = new FormData();
    body.append("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
    return window.fetch(form.dataset.options, { method: "POST", body: body, credentials: "same-origin" })
      .then(function (answer) {
        if (!answer.ok) { throw new Error("The server did not answer. Open the page again."); }
        return answer.json();
      })
      .then(function (said) { return said.publicKey; });
  }

  function say(form, words) {
    var place = form.querySelector("[data-passkey-says]");
    if (place) { place.textContent = words; }
  }

  function ask(form) {
    var kind = form.dataset.passkey;
    say(form, "Follow your browser’s question.");
    return options(form)
      .then(function (said) { return window.navigator.credentials[kind](forBrowser(kind, said)); })
      .then(function (made) {
        form.elements.credential.value = JSON.stringify(forServer(made));
        form.submit();
      })
      .catch(function (error) {
        delete form.dataset.sent;
        say(form, error && error.name === "NotAllowedError" ? "No passkey was used." : String(error.message || error));
      });
  }

  document.addEventListener("submit", function (event) {
    var form = event.target;
    if (!form.dataset || !form.dataset.passkey || form.elements.credential.value) { return; }
    event.preventDefault();
    if (!window.PublicKeyCredential) {
      say(form, "This browser has no passkeys here. Open the site by its name over https, or use a code.");
      delete form.dataset.sent;
      return;
    }
    ask(form);
  });
}());
