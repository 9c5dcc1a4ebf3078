// Keeps the page of a planner's run up to date: it asks whether the page would show something else now, and loads it
// again, unless a person has typed something: then it says so, and nothing that was typed is lost.
(() => {
  const ACTIVE_MS = 2000;
  const WAITING_MS = 5000;

  const plan = document.getElementById("plan");
  const news = document.getElementById("news");
  const form = document.getElementById("decide");

  // A page that came back with what somebody typed differs from the proposal already.
  const typed = () =>
    plan.dataset.typed === "yes" ||
    [...(form?.elements ?? [])].some((field) => field.type === "textarea" && field.value !== field.defaultValue);

  const show = () => {
    if (!typed()) {
      window.location.reload();
      return;
    }
    news.querySelector("span").textContent = "The plan or its state has changed. Your text is still here.";
    news.hidden = false;
  };

  window.chassis.follow({
    first: plan.dataset.active === "yes" ? ACTIVE_MS : WAITING_MS,
    address: () => plan.dataset.news,
    take(now) {
      if (now.mark !== plan.dataset.mark) {
        plan.dataset.mark = now.mark;
        show();
      }
      return now.active ? ACTIVE_MS : WAITING_MS;
    },
  });
})();
