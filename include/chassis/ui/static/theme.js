// Light or dark as Airflow is: it keeps "light", "dark" or "system" under this key, for all frames of its address.
(() => {
  const KEY = "theme";
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;

  const apply = () => {
    let chosen = null;
    try {
      chosen = localStorage.getItem(KEY);
    } catch {
      // A browser that keeps nothing for frames: the system decides.
    }
    const theme = chosen === "light" || chosen === "dark" ? chosen : dark.matches ? "dark" : "light";
    root.dataset.theme = theme;
  };

  apply();
  root.classList.toggle("framed", window.parent !== window);
  dark.addEventListener("change", apply);
  window.addEventListener("storage", (event) => {
    if (event.key === KEY || event.key === null) apply();
  });
})();
