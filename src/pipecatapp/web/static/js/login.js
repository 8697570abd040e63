// @ts-check
// The login page. A link followed from another site arrives without its Strict cookie: then the session is there
// already and only a request of our own shows it.

const answer = await fetch("/api/status", { headers: { accept: "application/json" } });
if (answer.ok && location.pathname === "/" && !location.search) location.reload();
else if (answer.ok) location.replace(`/${location.hash}`);
else document.querySelector("input")?.focus();

export {};
