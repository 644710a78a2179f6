// docs/openapi.yaml as the tests use it: operations with every $ref resolved, schema validators, header checks.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { parse } from 'yaml';

export const DOCUMENT_PATH = fileURLToPath(new URL('../../../docs/openapi.yaml', import.meta.url));
const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'];

export const source = parse(readFileSync(DOCUMENT_PATH, 'utf8'));

const resolved = new Map(); // $ref → resolved value, so that one schema is one object and is compiled once

function lookUp(ref) {
    if (!ref.startsWith('#/')) throw new Error(`only references within the document: ${ref}`);
    const value = ref.slice(2).split('/').reduce((node, key) => node?.[key.replaceAll('~1', '/').replaceAll('~0', '~')], source);
    if (value === undefined) throw new Error(`nothing at ${ref}`);
    return value;
}

function resolve(node) {
    if (Array.isArray(node)) return node.map(resolve);
    if (node === null || typeof node !== 'object') return node;
    if (typeof node.$ref === 'string') {
        const { $ref, ...beside } = node;
        if (!resolved.has($ref)) resolved.set($ref, resolve(lookUp($ref)));
        return Object.keys(beside).length ? { ...resolved.get($ref), ...beside } : resolved.get($ref);
    }
    return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, resolve(value)]));
}

const ajv = new Ajv2020({ allErrors: true, strictTypes: false, strictRequired: false, keywords: ['example'] });
addFormats(ajv);
const validators = new Map();

/** What is wrong with a value; an empty list when it fits its (resolved) schema. */
export function problems(schema, value) {
    if (!validators.has(schema)) validators.set(schema, ajv.compile(schema));
    const validate = validators.get(schema);
    return validate(value) ? [] : validate.errors.map((e) => `${e.instancePath || '(root)'} ${e.message} ${JSON.stringify(e.params)}`);
}

/** Who may call: 'anyone', 'user' or 'admin', as the responders print it. */
function authOf(security) {
    const bearer = security.find((scheme) => 'bearerAuth' in scheme);
    if (!bearer) return 'anyone';
    return bearer.bearerAuth.includes('ADMIN') ? 'admin' : 'user';
}

function bodyOf(operation) {
    if (!operation.requestBody) return null;
    const [[mediaType, media]] = Object.entries(operation.requestBody.content);
    return { mediaType, schema: media.schema, example: media.example ?? media.schema.examples?.[0], encoding: media.encoding };
}

function makeOperation(path, method, item, operation) {
    const security = operation.security ?? source.security;
    return {
        id: operation.operationId,
        method: method.toUpperCase(),
        path,
        operation,
        auth: authOf(security),
        csrf: security.some((scheme) => 'csrfToken' in scheme),
        parameters: [...(item.parameters ?? []), ...(operation.parameters ?? [])],
        body: bodyOf(operation),
        responses: operation.responses,
    };
}

export const operations = Object.entries(resolve(source.paths)).flatMap(([path, item]) =>
    Object.entries(item)
        .filter(([method]) => METHODS.includes(method))
        .map(([method, operation]) => makeOperation(path, method, item, operation)));

const byId = new Map(operations.map((operation) => [operation.id, operation]));

export function operation(id) {
    if (!byId.has(id)) throw new Error(`no operation ${id}`);
    return byId.get(id);
}

function headerProblems(name, header, values) {
    if (values.length === 0) return header.required ? [`header ${name} is missing`] : [];
    const number = header.schema.type === 'integer';
    const fits = values.some((value) => problems(header.schema, number ? Number(value) : value).length === 0);
    return fits ? [] : [`header ${name} is ${JSON.stringify(values)}`];
}

function contentProblems(content, answer) {
    if (!content) return answer.text === '' ? [] : [`has a body where none is documented: ${answer.text.slice(0, 200)}`];
    const mediaType = (answer.headers['content-type'] ?? '').split(';')[0].trim();
    if (!content[mediaType]) return [`has media type "${mediaType}", documented is ${Object.keys(content)}`];
    return problems(content[mediaType].schema, mediaType === 'application/json' ? answer.body : answer.text);
}

/** What an answer {status, headers, cookies, text, body} has that the document does not allow. */
export function answerProblems(op, answer) {
    const response = op.responses[String(answer.status)];
    if (!response) return [`status ${answer.status} is not documented: ${answer.text.slice(0, 300)}`];
    const headers = Object.entries(response.headers ?? {}).flatMap(([name, header]) => {
        const value = name === 'Set-Cookie' ? answer.cookies : answer.headers[name.toLowerCase()];
        return headerProblems(name, header, [value ?? []].flat());
    });
    return [...headers, ...contentProblems(response.content, answer)];
}
