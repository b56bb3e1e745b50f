// Passkeys: shows what needs them where they work, and carries between the page and the browser's authenticator.
"use strict";

(function () {
  const toBytes = (text) => {
    const plain = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
    return Uint8Array.from(plain, (character) => character.charCodeAt(0));
  };
  const toText = (buffer) => {
    const plain = String.fromCharCode(...new Uint8Array(buffer));
    return btoa(plain).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  };

  const works = (origin) =>
    Boolean(window.PublicKeyCredential && navigator.credentials) &&
    location.origin === origin &&
    !/^[\d.]+$|^\[/.test(location.hostname); // passkeys belong to names, not to numbers

  const listed = (credentials) => (credentials || []).map((each) => ({ ...each, id: toBytes(each.id) }));

  const options = (asked) => {
    const publicKey = { ...asked, challenge: toBytes(asked.challenge) };
    if (asked.user) publicKey.user = { ...asked.user, id: toBytes(asked.user.id) };
    if (asked.allowCredentials) publicKey.allowCredentials = listed(asked.allowCredentials);
    if (asked.excludeCredentials) publicKey.excludeCredentials = listed(asked.excludeCredentials);
    return { publicKey };
  };

  const written = (credential) => {
    const response = { clientDataJSON: toText(credential.response.clientDataJSON) };
    for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (credential.response[name]) response[name] = toText(credential.response[name]);
    }
    if (credential.response.getTransports) response.transports = credential.response.getTransports();
    return JSON.stringify({
      id: credential.id,
      rawId: toText(credential.rawId),
      type: credential.type,
      clientExtensionResults: {},
      response,
    });
  };

  const ask = async (form) => {
    const answer = await fetch(form.dataset.challenge, {
      method: "POST",
      headers: { "X-CSRFToken": form.elements.csrf_token.value },
    });
    if (!answer.ok) throw new Error(answer.statusText);
    const asked = options(await answer.json());
    const make = form.dataset.passkey === "create";
    return make ? navigator.credentials.create(asked) : navigator.credentials.get(asked);
  };

  for (const part of document.querySelectorAll(".passkey")) {
    if (!works(part.dataset.origin)) continue;
    part.hidden = false;
    if (!part.dataset.passkey) continue;
    const problem = part.querySelector("[role=alert]");
    part.addEventListener("submit", async (event) => {
      event.preventDefault();
      problem.hidden = true;
      try {
        part.elements.credential.value = written(await ask(part));
        part.submit();
      } catch (error) {
        problem.hidden = false;
      }
    });
  }
})();
