// What all pages need: leaving Airflow's frame, and moments in the time zone that Airflow shows.
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

  // Also for what a page's own script puts in later.
  window.chassis = {
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
})();
