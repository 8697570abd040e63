// @ts-check
// A form made from a tool's JSON Schema: one field per argument, errors at the field.

import { make } from "./dom.js";

/** @typedef {import("./types.js").Schema} Schema */

/**
 * @typedef {object} Field
 * @property {HTMLElement} root
 * @property {HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement} control
 * @property {HTMLElement} problem
 * @property {() => unknown} read the value; undefined: it is left out; throws a sentence
 */

const MANY_LINES = /^(code|command|script|text|content|message)$/;
const LONG = 60;
let made = 0;

export class SchemaForm {
  /** @type {Map<string, Field>} */
  #fields = new Map();

  /**
   * @param {Schema} schema of an object
   * @param {Record<string, unknown>} values
   */
  constructor(schema, values) {
    const properties = schema.properties ?? {};
    this.root = make("div", { class: "schema-form" });
    for (const name of new Set([...Object.keys(properties), ...Object.keys(values)])) {
      const field = makeField(name, properties[name] ?? {}, values[name], schema.required?.includes(name) ?? false);
      this.#fields.set(name, field);
      this.root.append(field.root);
    }
  }

  /**
   * The values, or undefined where one does not fit (the form says which).
   * @returns {Record<string, unknown> | undefined}
   */
  read() {
    /** @type {Record<string, unknown>} */
    const values = {};
    let fits = true;
    for (const [name, field] of this.#fields) {
      this.#mark(field, "");
      try {
        const value = field.read();
        if (value !== undefined) values[name] = value;
      } catch (error) {
        this.#mark(field, error instanceof Error ? error.message : String(error));
        if (fits) field.control.focus();
        fits = false;
      }
    }
    return fits ? values : undefined;
  }

  /**
   * Show the server's complaint at the field that it names. False: it names none.
   * @param {string} message
   * @param {string} [name]
   */
  fail(message, name = "") {
    const known = [...this.#fields.keys()];
    const at = known.find((key) => key === name) ?? known.find((key) => names(message, key));
    const field = this.#fields.get(at ?? "");
    if (!field) return false;
    this.#mark(field, message);
    field.control.focus();
    return true;
  }

  focus() {
    [...this.#fields.values()][0]?.control.focus();
  }

  /**
   * @param {Field} field
   * @param {string} problem
   */
  #mark(field, problem) {
    field.problem.textContent = problem;
    field.problem.hidden = !problem;
    field.control.setAttribute("aria-invalid", String(Boolean(problem)));
  }
}

/**
 * Whether the sentence is about this argument.
 * @param {string} message
 * @param {string} name
 */
function names(message, name) {
  return message.split(/[^\p{L}\p{N}_]+/u).includes(name);
}

/**
 * @param {string} name
 * @param {Schema} schema
 * @param {unknown} value
 * @param {boolean} required
 * @returns {Field}
 */
function makeField(name, schema, value, required) {
  made += 1;
  const id = `field-${made}`;
  const { control, read } = makeControl(name, schema, value, required);
  control.id = id;
  const label = /** @type {HTMLLabelElement} */ (make("label", { class: "mono", text: name }));
  label.htmlFor = id;
  if (!required && schema.type) label.append(make("span", { class: "muted", text: " (may be left out)" }));
  const problem = make("p", { class: "field-problem" });
  problem.id = `${id}-problem`;
  problem.hidden = true;
  problem.setAttribute("role", "alert");
  const described = [problem.id];
  /** @type {HTMLElement[]} */
  const parts = [label, control];
  if (schema.description) {
    const help = make("p", { class: "muted", text: schema.description });
    help.id = `${id}-help`;
    described.unshift(help.id);
    parts.push(help);
  }
  control.setAttribute("aria-describedby", described.join(" "));
  return { root: make("div", { class: "schema-field" }, [...parts, problem]), control, problem, read };
}

/**
 * @param {string} name
 * @param {Schema} schema
 * @param {unknown} value
 * @param {boolean} required
 * @returns {Pick<Field, "control" | "read">}
 */
function makeControl(name, schema, value, required) {
  if (schema.enum) return choice(schema.enum, value, required);
  if (schema.type === "boolean") return choice([true, false], value, required);
  if (schema.type === "integer" || schema.type === "number") return number(schema, value, required);
  if (typeof value === "string" || (schema.type === "string" && value === undefined))
    return text(name, schema, value, required);
  return json(value, required);
}

/**
 * @param {unknown[]} options
 * @param {unknown} value
 * @param {boolean} required
 * @returns {Pick<Field, "control" | "read">}
 */
function choice(options, value, required) {
  const control = /** @type {HTMLSelectElement} */ (make("select", { class: "field" }));
  if (!required || !options.includes(value)) control.append(new Option("", ""));
  for (const [index, option] of options.entries()) {
    const word = option === true ? "yes" : option === false ? "no" : String(option);
    control.append(new Option(word, String(index), false, option === value));
  }
  return {
    control,
    read: () => {
      if (control.value !== "") return options[Number(control.value)];
      if (required) throw new Error("Choose one.");
      return undefined;
    },
  };
}

/**
 * @param {Schema} schema
 * @param {unknown} value
 * @param {boolean} required
 * @returns {Pick<Field, "control" | "read">}
 */
function number(schema, value, required) {
  const control = /** @type {HTMLInputElement} */ (make("input", { class: "field" }));
  control.inputMode = schema.type === "integer" ? "numeric" : "decimal";
  control.autocomplete = "off";
  control.value = value === undefined ? "" : String(value);
  return {
    control,
    read: () => {
      const words = control.value.trim();
      if (!words && !required) return undefined;
      const read = Number(words);
      if (!words || !Number.isFinite(read)) throw new Error(`${words || "Nothing"} is not a number.`);
      if (schema.type === "integer" && !Number.isInteger(read)) throw new Error(`${words} is not a whole number.`);
      return read;
    },
  };
}

/**
 * @param {string} name
 * @param {Schema} schema
 * @param {string | undefined} value
 * @param {boolean} required
 * @returns {Pick<Field, "control" | "read">}
 */
function text(name, schema, value, required) {
  const known = value ?? "";
  const tall = MANY_LINES.test(name) || known.includes("\n") || known.length > LONG;
  const control = /** @type {HTMLInputElement | HTMLTextAreaElement} */ (
    make(tall ? "textarea" : "input", { class: "field mono" })
  );
  if (control instanceof HTMLTextAreaElement) control.rows = Math.min(12, Math.max(2, known.split("\n").length));
  if (schema.maxLength) control.maxLength = schema.maxLength;
  control.autocomplete = "off";
  control.spellcheck = false;
  control.value = known;
  return {
    control,
    // An argument that was not there and stays empty is left out; one that is emptied is an empty text.
    read: () => (control.value || required || value !== undefined ? control.value : undefined),
  };
}

/**
 * @param {unknown} value
 * @param {boolean} required
 * @returns {Pick<Field, "control" | "read">}
 */
function json(value, required) {
  const control = /** @type {HTMLTextAreaElement} */ (make("textarea", { class: "field mono" }));
  control.spellcheck = false;
  control.value = value === undefined ? "" : JSON.stringify(value, null, 2);
  control.rows = Math.min(12, Math.max(2, control.value.split("\n").length));
  return {
    control,
    read: () => {
      if (!control.value.trim() && !required) return undefined;
      try {
        return JSON.parse(control.value);
      } catch (error) {
        throw new Error(`This is not JSON: ${error instanceof Error ? error.message : error}`);
      }
    },
  };
}
