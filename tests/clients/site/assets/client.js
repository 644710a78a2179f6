// Speaks to the server as the web client does: axios with its own encodings, the access token in memory, the CSRF token out of the cookie,
// one refresh for all requests that are refused meanwhile.
import axios from '/assets/axios.js';

const api = axios.create({ baseURL: '', timeout: 30000, withCredentials: true });
const state = { token: null, user: null };
let refreshing = null;

const csrf = () => decodeURIComponent(/XSRF-TOKEN=([^;]+)/.exec(document.cookie)?.[1] ?? '');

api.interceptors.request.use((config) => {
    if (state.token && !config.url.includes('/auth/refresh')) config.headers.Authorization = `Bearer ${state.token}`;
    if (csrf() && config.method !== 'get') config.headers['X-XSRF-TOKEN'] = csrf();
    return config;
});

function keep(response) {
    state.token = response.data.accessToken;
    state.user = response.data.userDto;
    return response;
}

const refresh = () => api.post('/api/auth/refresh').then(keep);
const signOut = () => api.post('/api/auth/sign-out');

api.interceptors.response.use(null, async (error) => {
    const { config, response } = error;
    if (response?.status !== 401 || config.url.includes('/auth/') || config.repeated) throw error;
    refreshing ??= refresh().finally(() => {
        refreshing = null;
    });
    await refreshing;
    return api({ ...config, repeated: true });
});

const signIn = (username, password) =>
    api.post('/api/auth/sign-in', new URLSearchParams({ username, password }).toString(), {
        headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    }).then(keep);

/** Sends a record and, perhaps, a picture under this name. */
function sendForm(method, url, request, field, file) {
    const form = new FormData();
    form.append('request', new Blob([JSON.stringify(request)], { type: 'application/json' }));
    if (file) form.append(field, file);
    return api.request({ method, url, data: form }).then(({ data }) => data);
}

async function drawing(name) {
    const canvas = document.createElement('canvas');
    canvas.width = 8;
    canvas.height = 6;
    const blob = await new Promise((done) => canvas.toBlob(done, 'image/png'));
    return new File([blob], name, { type: 'image/png' });
}

/** Size of a picture as an <img> shows it; null if it does not. */
const shown = (url) =>
    new Promise((done) => {
        const image = new Image();
        image.onload = () => done([image.naturalWidth, image.naturalHeight]);
        image.onerror = () => done(null);
        image.src = url;
    });

/** What a style sheet makes of an unquoted address. */
function background(url) {
    const card = document.createElement('div');
    card.style.cssText = `background-image: url(${url})`;
    document.body.append(card);
    return getComputedStyle(card).backgroundImage;
}

const status = (request) => request.then(({ status: done }) => done, ({ response }) => response.status);

window.client = { api, state, refresh, signIn, signOut, sendForm, drawing, shown, background, status, seesGlobal: global === window };
