// The donation form works without this script. It keeps the button, the hint and the choice in step with each other.
"use strict";

document.querySelectorAll("form[data-give]").forEach((form) => {
  const own = form.elements.amount;
  const radios = [...form.querySelectorAll("input[name=choice]")];
  const button = form.querySelector("button[type=submit]");
  const earns = form.querySelector("[data-earns]");
  const { low, high, decimals, zero, label } = form.dataset;
  const plainLabel = button.textContent;

  // Minor units of what was typed, by the server's rules; null when it is no amount.
  const parse = (text) => {
    const match = /^(\d{1,9})(?:[.,](\d+))?$/.exec(text.replace(/[\s\u00a0\u202f]/g, ""));
    const fraction = match?.[2] ?? "";
    if (!match || fraction.length > Number(decimals)) return null;
    return Number(match[1] + fraction.padEnd(Number(decimals), "0"));
  };

  const chosen = () => radios.find((radio) => radio.checked);
  const minor = () => (own.value.trim() ? parse(own.value) : Number(chosen()?.value) || null);
  const shown = () => (own.value.trim() ? zero.replace("0", own.value.trim()) : chosen()?.dataset.shown);

  const showEarned = (amount) => {
    // Of several rules for one pack the highest one reached counts; they come in the order of their amounts.
    const counts = new Map();
    earns.querySelectorAll("li").forEach((item) => {
      const earned = amount !== null && amount >= Number(item.dataset.from);
      item.classList.toggle("earned", earned);
      if (earned) counts.set(item.dataset.pack, Number(item.dataset.count));
    });
    const count = [...counts.values()].reduce((sum, each) => sum + each, 0);
    const status = earns.querySelector("[role=status]");
    const sentence = JSON.parse(earns.dataset.sentences)[count];
    if (status.textContent !== sentence) status.textContent = sentence;
  };

  const refresh = () => {
    const amount = minor();
    const fits = amount !== null && amount >= Number(low) && amount <= Number(high);
    button.textContent = fits ? label.replace("{}", shown()) : plainLabel;
    if (earns) showEarned(fits ? amount : null);
  };

  // One of the two speaks: a typed amount clears the choice, a choice clears what was typed.
  own.addEventListener("input", () => {
    if (own.value.trim()) radios.forEach((radio) => { radio.checked = false; });
    refresh();
  });
  radios.forEach((radio) => radio.addEventListener("change", () => {
    own.value = "";
    refresh();
  }));

  form.addEventListener("submit", () => {
    button.disabled = true;
    button.textContent = button.dataset.busy;
  });
  // Coming back with the browser's button must not find a dead form.
  window.addEventListener("pageshow", () => {
    button.disabled = false;
    refresh();
  });

  earns?.classList.add("live");
  refresh();
});
