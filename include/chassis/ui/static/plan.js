// Keeps the page of a planner's run up to date: it asks whether the page would show something else now, and loads it
// again, unless a person has typed something: then it says so, and nothing that was typed is lost.
(() => {
  const ACTIVE_MS = 2000;
  const WAITING_MS = 5000;
  const FAILED_MS = 10000;

  const plan = document.getElementById("plan");
  const news = document.getElementById("news");
  const form = document.getElementById("decide");
  let timer = null;
  let asking = false;

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

  const poll = async () => {
    timer = null;
    if (asking || document.hidden) return;
    asking = true;
    let wait = FAILED_MS;
    try {
      const answer = await fetch(plan.dataset.news, {
        headers: { Accept: "application/json" },
        credentials: "same-origin",
      });
      if (answer.status === 401 || answer.status === 403) return;
      if (!answer.ok) throw new Error(String(answer.status));
      const now = await answer.json();
      if (now.mark !== plan.dataset.mark) {
        plan.dataset.mark = now.mark;
        show();
      }
      wait = now.active ? ACTIVE_MS : WAITING_MS;
    } catch {
      // Airflow doesn't respond; the next try tells.
    } finally {
      asking = false;
    }
    timer = window.setTimeout(poll, wait);
  };

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      window.clearTimeout(timer);
      timer = null;
    } else if (timer === null) {
      poll();
    }
  });
  timer = window.setTimeout(poll, plan.dataset.active === "yes" ? ACTIVE_MS : WAITING_MS);
})();
