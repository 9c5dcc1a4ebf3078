// What all pages need: leaving Airflow's frame, moments in the time zone that Airflow shows, drawings that fit, news.
(() => {
  const framed = window.parent !== window;

  // Airflow's frame forbids its page to go elsewhere by itself (no allow-top-navigation). Its parent, which is
  // Airflow's own page at the same address, may: so the link is followed there.
  const followInParent = (link, newTab) => {
    const outside = window.top.document;
    const copy = outside.createElement("a");
    copy.href = link.href;
    if (newTab) {
      copy.target = "_blank";
      copy.rel = "noopener noreferrer";
    }
    outside.body.append(copy);
    copy.click();
    copy.remove();
  };

  const onClick = (event) => {
    if (event.defaultPrevented || event.button > 1) return;
    // The frame allows no new tabs either, which links in a result ask for.
    const link = event.target.closest?.("a[target=_top], a[target=_blank]");
    if (!link) return;
    event.preventDefault();
    followInParent(link, link.target === "_blank" || event.ctrlKey || event.metaKey || event.button === 1);
  };

  if (framed) {
    document.addEventListener("click", onClick);
    document.addEventListener("auxclick", onClick);
  }

  const zone = () => {
    try {
      const chosen = localStorage.getItem("timezone");
      return chosen ? JSON.parse(chosen) : undefined;
    } catch {
      return undefined;
    }
  };

  const formatter = () => {
    const shape = { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short", hour12: false };
    try {
      return new Intl.DateTimeFormat("en-GB", { ...shape, timeZone: zone() });
    } catch {
      return new Intl.DateTimeFormat("en-GB", shape);
    }
  };

  // A drawing shrinks to fit as far as it can be read; of one that is still larger, a hint says that it scrolls.
  const SMALLEST = 0.8;
  const fit = () => {
    for (const box of document.querySelectorAll(".scroll:has(svg.plan-graph)")) {
      const drawing = box.querySelector("svg.plan-graph");
      const { width, height } = drawing.viewBox.baseVal;
      const scale = Math.max(SMALLEST, Math.min(1, box.clientWidth / width));
      drawing.setAttribute("width", Math.floor(width * scale));
      drawing.setAttribute("height", Math.floor(height * scale));
      const hint = box.nextElementSibling;
      const hidden = box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1;
      if (hint?.classList.contains("scroll-hint")) hint.hidden = !hidden;
    }
  };
  window.addEventListener("resize", fit);

  // Asks for news for as long as somebody looks: one question at a time, the next one when the last was answered.
  const FAILED_MS = 10000;
  const follow = ({ first, address, take, signedOut = () => {}, silent = () => {} }) => {
    let timer = null;
    let asking = false;

    const ask = async () => {
      timer = null;
      if (asking || document.hidden) return;
      asking = true;
      let wait = FAILED_MS;
      try {
        const answer = await fetch(address(), {
          headers: { Accept: "application/json" },
          credentials: "same-origin",
        });
        if (answer.status === 401 || answer.status === 403) {
          signedOut();
          return;
        }
        if (!answer.ok) throw new Error(String(answer.status));
        wait = take(await answer.json());
      } catch {
        silent();
      } finally {
        asking = false;
      }
      timer = window.setTimeout(ask, wait);
    };

    document.addEventListener("visibilitychange", () => {
      if (document.hidden) {
        window.clearTimeout(timer);
        timer = null;
      } else if (timer === null) {
        ask();
      }
    });
    timer = window.setTimeout(ask, first);
  };

  // What the pages' own scripts use.
  window.chassis = {
    fit,
    // `take` shows the news that came from `address()` and gives the milliseconds until the next question.
    follow,
    localize(root) {
      const format = formatter();
      for (const time of root.querySelectorAll("time[datetime]:not([data-local])")) {
        time.title = time.dateTime;
        time.textContent = format.format(new Date(time.dateTime));
        time.dataset.local = "";
      }
    },
  };
  window.chassis.localize(document);
  fit();
})();
