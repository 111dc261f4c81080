"use strict";
/* The patient's page, built only on the patient's API. Text is set as text, never as HTML.
   A command keeps its key and its body until it is answered, so that sending it again acts once. */
(() => {
  const root = document.getElementById("me");
  if (!root) return;
  const api = root.dataset.api;
  const one = (id) => document.getElementById(id);
  const keys = new Map();
  let today = null;

  const element = (name, text, attributes = {}) => {
    const made = document.createElement(name);
    if (text) made.textContent = text;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const cookie = (name) => document.cookie.split("; ").find((part) => part.startsWith(`${name}=`))?.split("=")[1] ?? "";
  const fresh = () => (crypto.randomUUID ? crypto.randomUUID() : Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join(""));

  const say = (text, bad = false) => {
    const line = one("me-say");
    line.textContent = text;
    line.classList.toggle("bad", bad);
  };
  const zoned = (at) => {
    const minutes = -at.getTimezoneOffset();
    const two = (n) => String(Math.floor(Math.abs(n))).padStart(2, "0");
    const local = new Date(at.getTime() + minutes * 60000).toISOString().slice(0, 23);
    return `${local}${minutes < 0 ? "-" : "+"}${two(minutes / 60)}:${two(minutes % 60)}`;
  };

  const ask = async (path, intent, body) => {
    const options = { headers: { Accept: "application/json" }, credentials: "same-origin" };
    if (intent) {
      if (!keys.has(intent)) {
        const key = fresh();
        keys.set(intent, { key, body: JSON.stringify(body(key)) });
      }
      const kept = keys.get(intent);
      options.method = "POST";
      options.body = kept.body;
      Object.assign(options.headers, { "Content-Type": "application/json", "X-CSRFToken": cookie("csrftoken"), "Idempotency-Key": kept.key });
    }
    const answer = await fetch(`${api}${path}`, options);
    if (intent && answer.status < 500 && answer.status !== 409) keys.delete(intent);
    const said = await answer.json();
    if (!answer.ok) throw Object.assign(new Error(said.detail || "This did not work. Try again."), { now: said.what_to_do_now });
    return said;
  };
  const act = async (button, work) => {
    button.disabled = true;
    try {
      await work();
      await load();
    } catch (problem) {
      if (problem.now) showNow(problem.now); // refused, and dangerous all the same
      say(problem.message, true);
    } finally {
      button.disabled = false;
    }
  };

  const showNow = (lines) => {
    one("me-now").hidden = lines.length === 0;
    one("me-now-list").replaceChildren(...lines.map((line) => element("li", line)));
  };
  const showProposal = (proposal) => {
    const box = element("article", "", { class: "me-proposal" });
    box.append(element("p", proposal.change ? proposal.change.sentence : proposal.in_words, { class: "lead" }));
    for (const line of [proposal.message, proposal.change?.what_to_stop, proposal.change?.on_the_way, proposal.why]) {
      if (line) box.append(element("p", line));
    }
    const answers = element("div", "", { class: "me-answers" });
    for (const [path, words, look] of [["accept", "Accept", "button primary"], ["decline", "Decline", "button"], ["ask-person", "Ask a person instead", "button"]]) {
      const button = element("button", words, { type: "button", class: look });
      button.addEventListener("click", () => act(button, async () => {
        const said = await ask(`/recommendations/${proposal.id}/${path}`, `${path} ${proposal.id}`, () => ({}));
        say(said.in_words);
      }));
      answers.append(button);
    }
    box.append(answers);
    return box;
  };
  const showMedicine = (medicine) => {
    const line = element("li", "", { class: "me-medicine" });
    line.append(element("span", medicine.total_daily_dose ? `${medicine.name}, ${medicine.total_daily_dose} a day in all` : medicine.name));
    if (medicine.next) line.append(element("strong", medicine.next, { class: "me-next" }));
    if (!medicine.ingredient) return line;
    const logged = today.day.intakes.find((intake) => intake.ingredient === medicine.ingredient);
    if (logged) {
      line.append(element("span", logged.taken ? "Taken today" : "Not taken today", { class: "chip" }));
      return line;
    }
    for (const [taken, words] of [[true, "Taken"], [false, "Not taken"]]) {
      const button = element("button", words, { type: "button", class: "button small", "aria-label": `${words}: ${medicine.name}` });
      button.addEventListener("click", () => act(button, async () => {
        await ask("/intakes", `intake ${medicine.ingredient} ${today.day.date} ${taken}`, (key) => ({
          source_id: key, ingredient: medicine.ingredient, due_on: today.day.date, taken, taken_at: taken ? zoned(new Date()) : null,
        }));
        say("Logged.");
      }));
      line.append(button);
    }
    return line;
  };
  const showReading = (reading) => {
    const row = element("tr");
    row.append(
      element("td", new Date(reading.taken_at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", timeZone: today.patient.zone })),
      element("td", `${reading.systolic ?? "–"}/${reading.diastolic ?? "–"} mmHg`),
      element("td", reading.pulse ?? "–"),
      element("td", reading.held_back),
    );
    return row;
  };

  const load = async () => {
    today = await ask("/today");
    showNow(today.what_to_do_now);
    const waiting = today.waiting_for_you.map(showProposal);
    one("me-waiting").replaceChildren(...(waiting.length ? waiting : [element("p", "Nothing waits for you.", { class: "quiet" })]));
    one("me-day-words").textContent = today.day.in_words;
    one("me-readings").closest("table").hidden = !today.day.readings.length;
    one("me-readings").replaceChildren(...today.day.readings.map(showReading));
    one("me-medicines").replaceChildren(...today.medicines.map(showMedicine));
    one("me-unattended").hidden = !today.unattended;
    one("me-unattended").textContent = today.unattended ?? "";
    one("me-visit").textContent = today.next_visit ? today.next_visit.in_words : "";
    one("me-reminders").hidden = today.reminders.length === 0;
    one("me-reminder-list").replaceChildren(...today.reminders.map((reminder) => element("li", reminder.in_words)));
    one("me-person").textContent = today.how_to_get_a_person;
    const known = today.medicines.filter((medicine) => medicine.ingredient);
    one("me-blame").replaceChildren(
      element("option", "No, or not sure", { value: "" }),
      ...known.map((medicine) => element("option", medicine.name, { value: medicine.ingredient })),
    );
  };

  const bodies = {
    "me-reading-form": () => ["/readings", {
      taken_at: zoned(new Date()), unit: "mmHg", systolic: Number(one("me-systolic").value), diastolic: Number(one("me-diastolic").value),
      pulse: one("me-pulse").value ? Number(one("me-pulse").value) : null, method: one("me-method").value, setting: "home",
      position: one("me-position").value, device_validated: one("me-validated").value === "yes",
    }],
    "me-symptom-form": () => ["/symptoms", {
      kind: one("me-symptom").value, felt_at: zoned(new Date()), suspected_ingredient: one("me-blame").value || null, text: one("me-text").value,
    }],
  };
  for (const [id, body] of Object.entries(bodies)) {
    one(id).addEventListener("submit", (event) => {
      event.preventDefault();
      const form = event.currentTarget;
      act(form.querySelector("button"), async () => {
        const [path, said] = body();
        const answer = await ask(path, id, (key) => ({ source_id: key, ...said }));
        form.reset();
        if (answer.outcome === "quarantined") {
          say("Thank you. These numbers are kept but cannot be used: look at them once more, and measure again.");
          return;
        }
        say(answer.paused_for?.length ? "Thank you. Nothing automatic happens with this medicine until a clinician has looked." : "Thank you. This is stored.");
      });
    });
  }
  one("me-human-only").addEventListener("click", (event) => act(event.currentTarget, async () => {
    await ask("/consents", "human only", () => ({ scope: "human_only_care", given: true }));
    say("From now on only people decide about your medicines.");
  }));

  load().catch((problem) => say(problem.message, true));
})();
