// Catalogue pages are cached once for all visitors. What is the visitor's own, and what must be fresh, is asked for here.
"use strict";

async function ask(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return response.json();
}

async function showVisitor() {
  const visitor = await ask(document.body.dataset.visitor);
  if (visitor.name) document.querySelector("[data-name]").textContent = visitor.name;
  document.querySelector("[data-items]").textContent = visitor.items || "";
  const buy = document.querySelector("[data-buy]");
  if (!buy) return;
  const token = document.createElement("input");
  Object.assign(token, { type: "hidden", name: "csrfmiddlewaretoken", value: visitor.csrf_token });
  buy.append(token);
  buy.method = "post";
}

async function showPrice(element) {
  element.textContent = (await ask(element.dataset.offer)).price;
}

showVisitor();
document.querySelectorAll("[data-offer]").forEach(showPrice);
