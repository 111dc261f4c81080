/* Small helps on top of pages that work without them. No inline code, nothing loaded, nothing stored.
 * - A form that has been sent is not sent a second time by an impatient key (the server would answer the same anyway).
 * - The first thing that needs correcting receives the focus.
 * - Choosing an alternative or rejecting shows which reasons belong to that choice.
 * - What is to be handed on is copied by a button.
 * - A navigation that is wider than the screen begins at the page one is on, and says on which side there is more.
 */
(function () {
  "use strict";

  function onSubmit(event) {
    var form = event.target;
    if (form.dataset.sent === "1") {
      event.preventDefault();
      return;
    }
    if (form.method === "post") {
      form.dataset.sent = "1";
      window.setTimeout(function () { delete form.dataset.sent; }, 8000);
    }
  }

  function reasonsFor(form) {
    var chosen = form.querySelector("input[name=choice]:checked");
    var select = form.querySelector("select[name=reason_code]");
    if (!select) { return; }
    var kind = chosen ? chosen.value.split(":")[0] : "";
    Array.prototype.forEach.call(select.querySelectorAll("optgroup"), function (group) {
      var fits = !kind || group.dataset.kind === kind;
      group.disabled = !fits;
      group.hidden = !fits;
    });
    var option = select.selectedOptions[0];
    if (option && option.parentElement.disabled) { select.value = ""; }
  }

  function copies(button) {
    var field = document.getElementById(button.dataset.copies);
    var said = document.getElementById(button.dataset.copies + "-said");
    function tell(done) {
      said.textContent = done ? "Copied." : "It could not be copied: the link is marked, press Ctrl and C.";
    }
    button.hidden = false;
    button.addEventListener("click", function () {
      field.select();
      if (navigator.clipboard) {
        navigator.clipboard.writeText(field.value).then(function () { tell(true); }, function () { tell(false); });
      } else {
        tell(document.execCommand("copy"));  // a page that did not come over https has nothing newer
      }
    });
  }

  function navigation(nav) {
    var list = nav.querySelector("ul"), here = nav.querySelector("[aria-current]");
    function more() {
      nav.classList.toggle("more-before", list.scrollLeft > 4);
      nav.classList.toggle("more-after", list.scrollWidth - list.clientWidth - list.scrollLeft > 4);
    }
    if (here) { list.scrollLeft = here.offsetLeft + here.offsetWidth - list.offsetLeft - list.clientWidth / 2; }
    list.addEventListener("scroll", more, { passive: true });
    window.addEventListener("resize", more);
    more();
  }

  function start() {
    document.addEventListener("submit", onSubmit);
    var first = document.querySelector("[data-focus]");
    if (first) { first.focus(); }
    Array.prototype.forEach.call(document.querySelectorAll("button[data-copies]"), copies);
    Array.prototype.forEach.call(document.querySelectorAll(".top nav"), navigation);
    Array.prototype.forEach.call(document.querySelectorAll("form[data-decision]"), function (form) {
      form.addEventListener("change", function () { reasonsFor(form); });
      reasonsFor(form);
    });
  }

  window.addEventListener("pageshow", function (event) {
    if (event.persisted) { window.location.reload(); }
  });
  if (document.readyState === "loading") {
    document.addEventListener("DOMContentLoaded", start);
  } else {
    start();
  }
}());
