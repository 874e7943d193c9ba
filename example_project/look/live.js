// What has `data-live` is asked for anew once a second and replaced where it changed: details that are open stay so.
const box = document.createElement("template");
const asShown = (text) => ((box.innerHTML = text), box.innerHTML.trim());

for (const part of document.querySelectorAll("[data-live]")) {
  let shown = part.innerHTML.trim();
  const ask = async () => {
    try {
      const answer = document.hidden ? null : await fetch(part.dataset.live);
      const text = answer?.ok ? asShown(await answer.text()) : shown;
      if (text !== shown) part.innerHTML = shown = text;
    } catch {
      // The demo has ended, or the page is being left: what is shown stays.
    } finally {
      setTimeout(ask, 1000);
    }
  };
  ask();
}
