// The API document itself: valid OpenAPI 3.1, bilingual, complete in what every operation must say, its examples true to its schemas.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { DOCUMENT_PATH, operations, problems, source } from './support/document.js';

test('it is valid OpenAPI 3.1', async () => {
    const validator = new Validator();
    const result = await validator.validate(DOCUMENT_PATH);
    assert.deepEqual(result.errors ?? [], []);
    assert.ok(result.valid);
    assert.equal(validator.version, '3.1');
});

test('operation ids are unique and every operation says what it does in Korean and in English', () => {
    const ids = operations.map((op) => op.id);
    assert.deepEqual(ids.filter((id, i) => !id || ids.indexOf(id) !== i), []);
    const tags = new Set(source.tags.map((tag) => tag.name));
    for (const op of operations) {
        assert.match(op.operation.summary ?? '', /[가-힣].* · .*[A-Za-z]/, op.id);
        assert.ok(op.operation.description, op.id);
        assert.ok(op.operation.tags.length === 1 && tags.has(op.operation.tags[0]), op.id);
    }
});

test('path parameters are declared, and every parameter has a description and a schema', () => {
    for (const op of operations) {
        const named = [...op.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
        const declared = op.parameters.filter((parameter) => parameter.in === 'path').map((parameter) => parameter.name);
        assert.deepEqual(declared.sort(), named.sort(), op.id);
        for (const parameter of op.parameters) assert.ok(parameter.description && parameter.schema, `${op.id} ${parameter.name}`);
    }
});

test('every list asks for the same page parameters', () => {
    const lists = operations.filter((op) => op.parameters.some((parameter) => parameter.name === 'limit'));
    assert.ok(lists.length >= 10);
    for (const op of lists) {
        const names = op.parameters.map((parameter) => parameter.name);
        for (const name of ['limit', 'sortBy', 'sortDirection', 'cursor', 'idAfter']) assert.ok(names.includes(name), `${op.id} ${name}`);
        assert.ok(op.parameters.find((parameter) => parameter.name === 'sortBy').schema.enum.length > 0, op.id);
    }
});

test('every operation lists the errors that its preconditions bring', () => {
    for (const op of operations) {
        const expected = ['400', '500'];
        if (op.auth !== 'anyone') expected.push('401', '429');
        if (op.auth === 'admin' || op.method !== 'GET') expected.push('403');
        if (op.body) expected.push('413', '415');
        for (const status of expected) assert.ok(op.responses[status], `${op.id} lacks ${status}`);
        for (const [status, response] of Object.entries(op.responses)) {
            if (status < '400') continue;
            const { schema } = response.content['application/json'];
            assert.equal(schema.allOf?.[0] ?? schema, errorSchema(), `${op.id} ${status}`);
        }
        assert.equal(op.csrf, op.method !== 'GET' && op.auth !== 'anyone', `${op.id}: CSRF token`);
    }
});

test('examples fit their schemas', () => {
    let count = 0;
    const check = (schema, value, where) => {
        count += 1;
        assert.deepEqual(problems(schema, value), [], where);
    };
    for (const op of operations) {
        if (op.body) {
            assert.ok(op.body.example, `${op.id} has no example`);
            check(op.body.schema, op.body.example, op.id);
        }
        for (const parameter of op.parameters) {
            if ('example' in parameter) check(parameter.schema, parameter.example, `${op.id} ${parameter.name}`);
        }
        for (const [status, response] of Object.entries(op.responses)) {
            for (const media of Object.values(response.content ?? {})) {
                if ('example' in media) check(media.schema, media.example, `${op.id} ${status}`);
                for (const [name, example] of Object.entries(media.examples ?? {})) check(media.schema, example.value, `${op.id} ${status} ${name}`);
            }
        }
    }
    for (const [name, schema] of Object.entries(source.components.schemas)) {
        if (!JSON.stringify(schema).includes('$ref')) for (const example of schema.examples ?? []) check(schema, example, name);
    }
    assert.ok(count > 100);
});

function errorSchema() {
    return operations[0].responses['400'].content['application/json'].schema;
}
