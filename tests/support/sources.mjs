// Servers that speak as TMDB (version 3) and TheSportsDB (version 1) do, on one port of the loopback, with the project's own real titles and
// matches: for tests, and for trying the jobs out:
//     node tests/support/sources.mjs [--port N] [--items N] [--fail PERCENT] [--image-bytes N] [--image-delay MS]
// prints its address, which is what `./mopl batch fetch-tmdb --base ADDRESS` wants. --items: films, and series, that there are (10,000);
// --fail: so many of 100 answers are a 429, a 500, a cut-off one or a slow one; --image-bytes, --image-delay: of every picture.
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { fileURLToPath, pathToFileURL } from 'node:url';
import zlib from 'node:zlib';

const PAGE = 20;
const PAGES_MAX = 500;
const folder = new URL('../../data/catalogue/', import.meta.url);
const rows = (name) => readFileSync(new URL(name, folder), 'utf8').trim().split('\n').slice(1).map((line) => JSON.parse(line));

const genres = [
    [28, '액션', 'Action'], [12, '모험', 'Adventure'], [35, '코미디', 'Comedy'], [18, '드라마', 'Drama'], [27, '공포', 'Horror'],
    [10749, '로맨스', 'Romantic Comedy'], [10402, '음악', 'Musical'], [99, '다큐멘터리', 'Documentary'], [37, '서부', 'Western'],
    [53, '스릴러', 'Thriller/Suspense'], [878, 'SF', 'Science Fiction'], [14, '판타지', 'Fantasy'],
];
const seriesGenres = [[10759, 'Action & Adventure', 'Action'], [10765, 'Sci-Fi & Fantasy', 'Science Fiction'], ...genres.slice(2, 8)];

const isoDate = (text) => {
    const time = Date.parse(`${text} UTC`);
    return Number.isNaN(time) ? '' : new Date(time).toISOString().slice(0, 10);
};

/** A PNG of 40 by 60 pixels and about `bytes` bytes, which differs with its name. */
export function picture(name, bytes = 2000) {
    const chunk = (type, data) => {
        const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
        const out = Buffer.alloc(body.length + 8);
        out.writeUInt32BE(data.length, 0);
        body.copy(out, 4);
        out.writeUInt32BE(crc32(body), body.length + 4);
        return out;
    };
    const head = Buffer.from([0, 0, 0, 40, 0, 0, 0, 60, 8, 2, 0, 0, 0]);
    const shade = [...name].reduce((sum, c) => (sum * 31 + c.charCodeAt(0)) & 0xffffff, 7);
    const line = Buffer.concat([Buffer.from([0]), Buffer.alloc(120, Buffer.from([shade & 255, (shade >> 8) & 255, shade >> 16]))]);
    const pixels = zlib.deflateSync(Buffer.concat(Array(60).fill(line)));
    const text = Buffer.from(`Comment\0${name} `.padEnd(Math.max(bytes - pixels.length - 70, 16), 'x'), 'latin1');
    return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), chunk('IHDR', head), chunk('tEXt', text), chunk('IDAT', pixels), chunk('IEND', Buffer.alloc(0))]);
}

const crcTable = Array.from({ length: 256 }, (_, n) => {
    for (let i = 0; i < 8; i += 1) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
    return n >>> 0;
});
const crc32 = (bytes) => (bytes.reduce((crc, byte) => crcTable[(crc ^ byte) & 255] ^ (crc >>> 8), 0xffffffff) ^ 0xffffffff) >>> 0;

/** {address, requests, close()}; options:
 *  items      films, and series, that there are; more than there are real titles: these again, under other ids
 *  imageBytes size of a picture
 *  today      of TheSportsDB's events, as YYYY-MM-DD: the matches are dealt out on the 400 days around it
 *  token, key what is asked for; absent: anything
 *  change     (kind, object, index) => object: a title as it has become meanwhile
 *  fault      (request, {count}) => undefined, or how it is answered: {status, headers, body}, {cut: true}, {silent: true}, {delay: ms} */
export async function startSources(options = {}) {
    const { items = 10000, imageBytes = 2000, token, key, change = (kind, o) => o, today = new Date().toISOString().slice(0, 10) } = options;
    const films = rows('films.jsonl');
    const matches = rows('matches.jsonl');
    const requests = [];
    const fault = { decide: options.fault ?? (() => undefined) };

    const genreIds = (film, list) => list.filter(([, , name]) => name === film[6] || name === film[7]).map(([id]) => id);
    const title = (kind, i) => {
        const film = films[i % films.length];
        const id = (kind === 'tv' ? 500000 : 100000) + i;
        const name = String(film[0] ?? 'Untitled');
        const common = {
            adult: false, backdrop_path: null, genre_ids: genreIds(film, kind === 'tv' ? seriesGenres : genres), id, original_language: 'en',
            overview: film[8] ? `${film[8]} 감독의 작품입니다. ${film[4] ?? ''}`.trim() : '', popularity: items - i, poster_path: `/${kind}-${id}.png`,
            vote_average: film[9] ?? 0, vote_count: film[10] ?? 0,
        };
        const own = kind === 'tv'
            ? { name, original_name: name, first_air_date: isoDate(film[1]), origin_country: ['US'] }
            : { title: name, original_title: name, release_date: isoDate(film[1]), video: false };
        return change(kind, { ...common, ...own }, i);
    };
    const dayOf = (text) => Math.floor(Date.parse(`${text}T00:00:00Z`) / 86400000);
    const events = (date) => {
        const offset = dayOf(date) - dayOf(today) + 200;
        if (offset < 0 || offset >= 400) return null;
        const list = matches.flatMap(([, league, home, away, homeScore, awayScore], i) => (i % 400 !== offset ? [] : [change('event', {
            idEvent: String(2000000 + i), strEvent: `${home} vs ${away}`, strSport: 'Soccer', strLeague: league, idLeague: '4328', strHomeTeam: home,
            strAwayTeam: away, intHomeScore: offset < 200 ? String(homeScore ?? '') || null : null, intAwayScore: offset < 200 ? String(awayScore ?? '') || null : null,
            dateEvent: date, strTime: '15:00:00', strVenue: `${home} Stadium`, strPostponed: 'no', strThumb: `${address}/thumb/${2000000 + i}.png`,
        }, i)]));
        return list.length > 0 ? list : null;
    };

    const json = (res, status, value, headers = {}) => {
        const text = JSON.stringify(value);
        res.writeHead(status, { 'Content-Type': 'application/json;charset=utf-8', 'Content-Length': Buffer.byteLength(text), ...headers }).end(text);
    };
    const refuse = (res, status, code, message, headers) => json(res, status, { success: false, status_code: code, status_message: message }, headers);

    function tmdb(req, res, url) {
        const bearer = /^Bearer (.+)$/.exec(req.headers.authorization ?? '')?.[1];
        if (!bearer || (token && bearer !== token)) return refuse(res, 401, 7, 'Invalid API key: You must be granted a valid key.');
        const list = /^\/3\/genre\/(movie|tv)\/list$/.exec(url.pathname);
        if (list) return json(res, 200, { genres: (list[1] === 'tv' ? seriesGenres : genres).map(([id, name]) => ({ id, name })) });
        const kind = /^\/3\/discover\/(movie|tv)$/.exec(url.pathname)?.[1];
        if (!kind) return refuse(res, 404, 34, 'The resource you requested could not be found.');
        const page = Number(url.searchParams.get('page') ?? 1);
        if (!Number.isInteger(page) || page < 1 || page > PAGES_MAX)
            return refuse(res, 400, 22, 'Invalid page: Pages start at 1 and max at 500. They are expected to be an integer.');
        const from = (page - 1) * PAGE;
        const results = Array.from({ length: Math.max(0, Math.min(PAGE, items - from)) }, (_, i) => title(kind, from + i)).flat();
        return json(res, 200, { page, results, total_pages: Math.min(PAGES_MAX, Math.ceil(items / PAGE)), total_results: items });
    }

    function sports(req, res, url) {
        const [, given] = /^\/api\/v1\/json\/([^/]+)\/eventsday\.php$/.exec(url.pathname) ?? [];
        if (!given) return res.writeHead(404).end();
        if (key && given !== key) return json(res, 404, { message: 'Invalid API key' });
        const date = url.searchParams.get('d') ?? '';
        return json(res, 200, { events: /^\d{4}-\d\d-\d\d$/.test(date) && url.searchParams.get('s') === 'Soccer' ? events(date) : null });
    }

    function answer(req, res, url) {
        if (url.pathname.startsWith('/3/')) return tmdb(req, res, url);
        if (url.pathname.startsWith('/api/')) return sports(req, res, url);
        const image = /^\/(?:t\/p\/w500|thumb)\/(.+)$/.exec(url.pathname)?.[1];
        if (!image) return res.writeHead(404).end();
        const bytes = picture(image, imageBytes);
        return res.writeHead(200, { 'Content-Type': 'image/png', 'Content-Length': bytes.length }).end(bytes);
    }

    const server = http.createServer((req, res) => {
        const url = new URL(req.url, 'http://local');
        const count = requests.filter((target) => target === req.url).length;
        if (options.record !== false) requests.push(req.url);
        const bad = fault.decide(req, { count, url });
        if (!bad) return answer(req, res, url);
        if (bad.silent) return undefined;
        if (bad.delay) return setTimeout(() => answer(req, res, url), bad.delay);
        if (bad.cut) {
            res.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': 100000 });
            return res.write('{"page": 1, "results": [', () => res.socket.destroy());
        }
        return res.writeHead(bad.status, bad.headers ?? {}).end(bad.body ?? '');
    });
    server.keepAliveTimeout = 60000;
    await new Promise((done) => server.listen(options.port ?? 0, '127.0.0.1', done));
    const address = `http://127.0.0.1:${server.address().port}`;
    return {
        address,
        requests,
        setFault: (decide) => (fault.decide = decide ?? (() => undefined)),
        close: () => {
            server.closeAllConnections();
            return new Promise((done) => server.close(done));
        },
    };
}

function someFail(percent, imageDelay) {
    const ways = [{ status: 429, headers: { 'Retry-After': '1' } }, { status: 500 }, { cut: true }, { delay: 2000 }];
    return (req) => {
        if (imageDelay > 0 && /^\/(t|thumb)\//.test(req.url)) return { delay: imageDelay };
        return Math.random() * 100 < percent ? ways[Math.floor(Math.random() * ways.length)] : undefined;
    };
}

if (process.argv[1] && import.meta.url === pathToFileURL(fileURLToPath(pathToFileURL(process.argv[1]))).href) {
    const given = Object.fromEntries(process.argv.slice(2).join(' ').split('--').filter(Boolean).map((part) => part.trim().split(/[ =]/)));
    const number = (name, otherwise) => (given[name] === undefined ? otherwise : Number(given[name]));
    const { address } = await startSources({
        port: number('port', 0), items: number('items', 10000), imageBytes: number('image-bytes', 2000), record: false, fault: someFail(number('fail', 0), number('image-delay', 0)),
    });
    console.log(address);
}
