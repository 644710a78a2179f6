// What the dashboards show. A title is [English, Korean]; a query is [PromQL, legend]. The names of metrics that begin with content_search_,
// playlist_, watching_session_, hikaricp_ and batch_ are those that dashboards of this platform have always asked for.
const HTTP = 'http_server_requests_seconds';
const R = '[$__rate_interval]';

const graph = (title, unit, queries, options = {}) => ({ kind: 'graph', title, unit, queries, ...options });
const stat = (title, unit, query, { legend, ...options } = {}) => ({ kind: 'stat', title, unit, queries: [[query, legend]], ...options });
const row = (title, ...panels) => ({ title, panels });

const bad = (value) => [[null, 'green'], [value, 'red']];
const good = (value) => [[null, 'red'], [value, 'green']];

const quantiles = (filter) => [0.5, 0.95, 0.99].map((q) => [`histogram_quantile(${q}, sum by (le) (rate(${HTTP}_bucket{${filter}}${R})))`, `p${q * 100}`]);
const mean = (name, by = '') => `sum${by} (rate(${name}_sum${R})) / (sum${by} (rate(${name}_count${R})) > 0)`;
const p95 = (name, filter = '') => `histogram_quantile(0.95, sum by (le) (rate(${name}_bucket{${filter}}${R})))`;

// The rows that the dashboards of single APIs have in common.
const api = (filter, responder) => [
    row(['Now', '현재'],
        stat(['Requests a second', '초당 요청 수 (TPS)'], 'reqps', `sum(rate(${HTTP}_count{${filter}}${R}))`),
        stat(['p95', 'p95 응답 시간'], 's', p95(HTTP, filter), { steps: bad(0.5) }),
        stat(['5xx', '5xx 비율'], 'percentunit', `(sum(rate(${HTTP}_count{${filter},status=~"5.."}${R})) or vector(0)) / (sum(rate(${HTTP}_count{${filter}}${R})) > 0)`, { steps: bad(0.01) }),
        stat(['4xx', '4xx 비율'], 'percentunit', `(sum(rate(${HTTP}_count{${filter},status=~"4.."}${R})) or vector(0)) / (sum(rate(${HTTP}_count{${filter}}${R})) > 0)`, { steps: bad(0.5) })),
    row(['Requests', '요청'],
        graph(['Latency', '응답 시간 분위수'], 's', quantiles(filter)),
        graph(['Throughput by route', '경로별 처리량'], 'reqps', [[`sum by (method, uri) (rate(${HTTP}_count{${filter}}${R}))`, '{{method}} {{uri}}']]),
        graph(['Answers by status', '상태 코드별 응답'], 'reqps', [[`sum by (status) (rate(${HTTP}_count{${filter}}${R}))`, '{{status}}']], { stack: true })),
    row(['By route', '경로별'],
        graph(['p95 by route', '경로별 p95'], 's', [[`histogram_quantile(0.95, sum by (le, method, uri) (rate(${HTTP}_bucket{${filter}}${R})))`, '{{method}} {{uri}}']]),
        graph(['Mean by route', '경로별 평균'], 's', [[mean(`${HTTP}`, ' by (method, uri)').replaceAll(`_sum[`, `_sum{${filter}}[`).replaceAll('_count[', `_count{${filter}}[`), '{{method}} {{uri}}']]),
        graph(['Connections of the pool', '커넥션 풀'], 'short', ['active', 'idle', 'pending', 'max'].map((what) => [`sum(hikaricp_connections_${what}{pool="${responder}"})`, what]))),
];

const system = {
    name: 'system-overview',
    title: ['MOPL · System Overview', 'MOPL · 시스템 현황'],
    about: ['How the platform is doing as a whole.', '플랫폼 전체 상태.'],
    rows: [
        row(['Now', '현재'],
            stat(['Parts that answer', '응답하는 구성 요소'], 'percentunit', 'sum(up) / count(up)', { steps: good(1) }),
            stat(['Requests a second', '초당 요청 수'], 'reqps', `sum(rate(${HTTP}_count${R}))`),
            stat(['5xx', '5xx 비율'], 'percentunit', `(sum(rate(${HTTP}_count{status=~"5.."}${R})) or vector(0)) / (sum(rate(${HTTP}_count${R})) > 0)`, { steps: bad(0.01) }),
            stat(['p95', 'p95 응답 시간'], 's', p95(HTTP, 'uri!~".*/sign-in|/metrics"'), { steps: bad(0.5) }),
            stat(['Alerts', '발생 중인 알림'], 'short', 'count(ALERTS{alertstate="firing"}) or vector(0)', { steps: bad(1) }),
            stat(['Oldest event', '가장 오래된 대기 이벤트'], 's', 'max(mopl_outbox_oldest_seconds)', { steps: bad(120) })),
        row(['Requests', '요청'],
            graph(['Latency', '응답 시간 분위수'], 's', quantiles('uri!="/metrics"')),
            graph(['Answers by status', '상태 코드별 응답'], 'reqps', [[`sum by (status) (rate(${HTTP}_count${R}))`, '{{status}}']], { stack: true }),
            graph(['Front server: connections', '프런트 서버 연결'], 'short', [['sum(lighttpd_connections_busy)', 'open']]),
            graph(['Front server: bytes sent', '프런트 서버 전송량'], 'Bps', [[`sum(rate(lighttpd_sent_bytes_total${R}))`, 'sent']])),
        row(['Processes', '프로세스'],
            graph(['Running', '실행 중'], 'short', [['sum by (process) (mopl_workers)', '{{process}}']]),
            graph(['Processor', 'CPU 사용량'], 'none', [[`sum by (process) (rate(process_cpu_seconds_total{process!=""}${R}))`, '{{process}}']], { stack: true }),
            graph(['Resident memory', '메모리 (RSS)'], 'bytes', [['sum by (process) (process_resident_memory_bytes{process!=""})', '{{process}}']], { stack: true }),
            graph(['Replaced', '재시작'], 'short', [['sum by (process) (changes(process_start_time_seconds{process!=""}[15m]))', '{{process}}']])),
        row(['Connections to PostgreSQL (the pool)', 'PostgreSQL 커넥션 풀'],
            graph(['Active', '사용 중'], 'short', [['sum by (pool) (hikaricp_connections_active)', '{{pool}}']]),
            graph(['Idle', '유휴'], 'short', [['sum by (pool) (hikaricp_connections_idle)', '{{pool}}']]),
            graph(['Requests waiting', '대기 중인 요청'], 'short', [['sum by (pool) (hikaricp_connections_pending)', '{{pool}}']]),
            graph(['Could not connect', '연결 실패'], 'cps', [[`sum by (pool) (rate(hikaricp_connections_timeout_total${R}))`, '{{pool}}']])),
        row(['Statements and password hashes', 'SQL과 비밀번호 해시'],
            graph(['Time in statements, the ten most', 'SQL 소요 시간 상위 10'], 'none', [[`topk(10, sum by (statement) (rate(mopl_db_statement_seconds_sum${R})))`, '{{statement}}']]),
            graph(['Mean time, the ten slowest', '평균 시간 상위 10'], 's', [[`topk(10, ${mean('mopl_db_statement_seconds', ' by (statement)')})`, '{{statement}}']]),
            graph(['bcrypt', 'bcrypt'], 's', [[mean('mopl_bcrypt_seconds'), 'mean'], [p95('mopl_bcrypt_seconds'), 'p95']])),
        row(['Events', '이벤트'],
            graph(['Waiting in the outbox', '아웃박스 대기'], 'short', [['sum(mopl_outbox_backlog_events)', 'events']]),
            graph(['Published', '발행'], 'cps', [[`sum(rate(mopl_outbox_published_total${R}))`, 'published']]),
            graph(['Behind', '컨슈머 지연'], 'short', [['sum by (group) (mopl_bus_lag_messages)', '{{group}}']]),
            graph(['Put aside', '데드 레터'], 'cps', [[`sum by (group) (rate(mopl_bus_dead_letters_total${R}))`, '{{group}}']])),
        row(['PostgreSQL and Redis', 'PostgreSQL과 Redis'],
            graph(['Transactions', '트랜잭션'], 'ops', [[`sum(rate(pg_stat_database_xact_commit${R}))`, 'committed'], [`sum(rate(pg_stat_database_xact_rollback${R}))`, 'rolled back']]),
            graph(['Pages found in memory', '캐시 적중률'], 'percentunit', [[`sum(rate(pg_stat_database_blks_hit${R})) / (sum(rate(pg_stat_database_blks_hit${R})) + sum(rate(pg_stat_database_blks_read${R})) > 0)`, 'hit']], { max: 1 }),
            graph(['Redis: commands', 'Redis 명령'], 'ops', [[`sum(rate(redis_commands_processed_total${R}))`, 'commands']]),
            graph(['Redis: memory', 'Redis 메모리'], 'bytes', [['sum(redis_memory_used_bytes)', 'used']])),
        row(['Machine', '서버'],
            graph(['Processor', 'CPU'], 'percentunit', [[`1 - avg(rate(node_cpu_seconds_total{mode="idle"}${R}))`, 'busy']], { max: 1 }),
            graph(['Memory available', '가용 메모리'], 'bytes', [['sum(node_memory_MemAvailable_bytes)', 'available']]),
            graph(['Disk left', '디스크 여유'], 'percentunit', [['min by (mountpoint) (node_filesystem_avail_bytes{fstype!~"tmpfs|ramfs|squashfs"} / node_filesystem_size_bytes{fstype!~"tmpfs|ramfs|squashfs"})', '{{mountpoint}}']], { max: 1 }),
            graph(['Load', '부하'], 'short', [['max(node_load1)', '1 min'], ['max(node_load5)', '5 min']])),
    ],
};

const domains = {
    name: 'domain-overview',
    title: ['MOPL · Domain Overview', 'MOPL · 도메인 현황'],
    about: ['The same three questions of each domain: how much, how fast, how often in vain.', '도메인별 처리량, 응답 시간, 오류.'],
    rows: [
        row(['Requests by domain', '도메인별 요청'],
            graph(['Requests a second', 'TPS'], 'reqps', [['domain:http_requests:rate5m', '{{domain}}']]),
            graph(['p95', 'p95'], 's', [['domain:http_request_seconds:p95_5m', '{{domain}}']]),
            graph(['5xx a second', '5xx'], 'reqps', [['domain:http_server_errors:rate5m or domain:http_requests:rate5m * 0', '{{domain}}']])),
        row(['What there is', '데이터 규모'],
            graph(['Rows', '행 수'], 'short', [['sum by (table) (mopl_table_rows{table!~"outbox|user_events|.*_search"})', '{{table}}']]),
            graph(['Bytes', '크기'], 'bytes', [['sum by (table) (mopl_table_bytes)', '{{table}}']]),
            graph(['Growth, rows an hour', '시간당 증가'], 'short', [['sum by (table) (delta(mopl_table_rows{table!~"outbox|user_events|.*_search"}[1h]))', '{{table}}']], { min: null })),
        row(['Writes that happened', '쓰기'],
            graph(['Successful writes by route', '경로별 성공한 쓰기'], 'reqps', [[`sum by (method, uri) (rate(${HTTP}_count{method!="GET",outcome="SUCCESS"}${R}))`, '{{method}} {{uri}}']]),
            graph(['Refused by status', '거절된 요청'], 'reqps', [[`sum by (status) (rate(${HTTP}_count{outcome="CLIENT_ERROR"}${R}))`, '{{status}}']], { stack: true }),
            graph(['Events handled', '처리된 이벤트'], 'cps', [[`sum by (group) (rate(mopl_bus_handled_total${R}))`, '{{group}}']])),
    ],
};

const batch = {
    name: 'batch-jobs',
    title: ['MOPL · Batch Job Monitoring', 'MOPL · 배치 작업 모니터링'],
    about: ['What the jobs told the Pushgateway at the end of their last runs.', '배치 작업이 마지막 실행에서 남긴 값.'],
    rows: [
        row(['Jobs', '작업'],
            stat(['Since the last success', '마지막 성공 이후'], 's', 'time() - max by (job) (batch_job_last_success_timestamp_seconds)', { steps: bad(26 * 3600), legend: '{{job}}' }),
            stat(['Last run succeeded', '마지막 실행 성공'], 'short', 'min by (job) (batch_job_last_run_success)', { steps: good(1), legend: '{{job}}' }),
            stat(['Last run took', '마지막 실행 시간'], 's', 'max by (job) (mopl_batch_job_seconds)', { legend: '{{job}}' })),
        row(['Contents', '콘텐츠'],
            graph(['New', '신규'], 'short', [['sum by (job, type) (batch_content_new_total)', '{{job}} {{type}}']]),
            graph(['Saved', '저장'], 'short', [['sum by (job, type) (batch_content_saved_total)', '{{job}} {{type}}']]),
            graph(['Duplicate', '중복'], 'short', [['sum by (job, type) (batch_content_duplicate_total)', '{{job}} {{type}}']])),
        row(['Where the time went', '소요 시간'],
            graph(['Steps', '스텝'], 's', [['max by (job, step) (mopl_batch_step_seconds)', '{{job}} {{step}}']]),
            graph(['Items counted', '항목'], 'short', [['sum by (job, kind) (mopl_batch_items_total)', '{{job}} {{kind}}']]),
            graph(['Read, process, write', '읽기·처리·쓰기'], 's', ['mopl_batch_item_read_seconds', 'mopl_batch_item_process_seconds', 'mopl_batch_chunk_write_seconds'].map((name) => [`sum by (job) (${name}_sum)`, `{{job}} ${name.split('_')[3]}`]))),
    ],
};

const contentStages = ['total', 'elasticsearch', 'count', 'mapping'];
const content = {
    name: 'content-api',
    title: ['MOPL · Content API', 'MOPL · 콘텐츠 API'],
    about: ['Catalogue and search.', '카탈로그와 검색.'],
    rows: [
        ...api('uri=~"/api/(contents|posters).*",uri!~".*/watching-sessions"', 'contents'),
        row(['Search', '검색'],
            graph(['Stages, p95', '단계별 p95'], 's', contentStages.map((stage) => [p95(`content_search_${stage}_seconds`), stage])),
            graph(['Stages, mean', '단계별 평균'], 's', contentStages.map((stage) => [mean(`content_search_${stage}_seconds`), stage])),
            graph(['Who answered', '검색 엔진별 응답'], 'reqps', [[`sum by (engine) (rate(mopl_content_searches_total${R}))`, '{{engine}}']], { stack: true })),
        row(['Index', '색인'],
            graph(['Documents sent', '색인 문서'], 'cps', [[`sum by (outcome) (rate(mopl_search_documents_total${R}))`, '{{outcome}}']]),
            graph(['Processes without the engine', '검색 엔진 없이 동작 중'], 'short', [['sum(mopl_search_engine_away)', 'processes']]),
            graph(['Size of the index', '색인 크기'], 'bytes', [['sum(mopl_table_bytes{table="content_search"})', 'PostgreSQL'], ['sum(elasticsearch_indices_store_size_bytes_primary)', 'Elasticsearch']]),
            graph(['Time in statements of the catalogue', '카탈로그 SQL 시간'], 's', [[`topk(10, ${mean('mopl_db_statement_seconds', ' by (statement)').replaceAll('_sum[', '_sum{statement=~"contents_.*"}[').replaceAll('_count[', '_count{statement=~"contents_.*"}[')})`, '{{statement}}']])),
    ],
};

const playlist = {
    name: 'playlist-api',
    title: ['MOPL · Playlist API', 'MOPL · 플레이리스트 API'],
    about: ['Playlists, what they hold and who keeps them.', '플레이리스트와 구독.'],
    rows: [
        ...api('uri=~"/api/playlists.*"', 'playlists'),
        row(['Stages', '단계별'],
            graph(['A page of playlists, p95', '목록 p95'], 's', [[p95('playlist_search_total_seconds'), 'total'], [p95('playlist_search_db_seconds'), 'database'], [p95('playlist_toDto_total_seconds'), 'toDto'], [p95('playlist_search_elasticsearch_seconds'), 'elasticsearch']]),
            graph(['A page of playlists, mean', '목록 평균'], 's', [[mean('playlist_search_total_seconds'), 'total'], [mean('playlist_search_db_seconds'), 'database'], [mean('playlist_toDto_total_seconds'), 'toDto']]),
            graph(['Playlists and subscriptions', '플레이리스트와 구독 수'], 'short', [['sum by (table) (mopl_table_rows{table=~"playlists|playlist_subscriptions"})', '{{table}}']])),
    ],
};

const watchingStages = ['redis_find', 'redis_hasmore', 'redis_count', 'db_user', 'db_content', 'db_tag'];
const watching = {
    name: 'watching-session-api',
    title: ['MOPL · Watching-session API', 'MOPL · 시청 세션 API'],
    about: ['Who watches what.', '누가 무엇을 보고 있는지.'],
    rows: [
        ...api('uri=~".*/watching-sessions"', 'watching_sessions'),
        row(['Stages', '단계별'],
            graph(['Mean time of each stage', '단계별 평균'], 's', watchingStages.map((stage) => [mean(`watching_session_${stage}_seconds`), stage])),
            graph(['Stages a second', '단계별 호출'], 'ops', watchingStages.map((stage) => [`sum(rate(watching_session_${stage}_seconds_count${R}))`, stage]))),
    ],
};

const bridge = 'process="sse_bridge"';
const realtime = {
    name: 'real-time',
    title: ['MOPL · Real-time', 'MOPL · 실시간'],
    about: ['Connections that are held, what is sent on them, and what is given up.', '실시간 연결, 전달, 지연, 유실.'],
    rows: [
        row(['Now', '현재'],
            stat(['Connections', '연결'], 'short', 'sum(mopl_bridge_connections)'),
            stat(['Sent a second', '초당 전달'], 'cps', `sum(rate(mopl_bridge_sent_total${R}))`),
            stat(['Watching', '시청 중'], 'short', 'sum(mopl_bridge_watchers)'),
            stat(['Slow consumers, last hour', '느린 소비자 (1시간)'], 'short', 'sum(increase(mopl_bridge_slow_consumers_total[1h])) or vector(0)', { steps: bad(10) })),
        row(['Connections', '연결'],
            graph(['Open', '열린 연결'], 'short', [['sum by (kind) (mopl_bridge_connections)', '{{kind}}']], { stack: true }),
            graph(['Let in', '수락'], 'cps', [[`sum(rate(mopl_bridge_sse_opened_total${R}))`, 'SSE'], [`sum(rate(mopl_bridge_stomp_connected_total${R}))`, 'STOMP']]),
            graph(['Refused', '거절'], 'cps', [[`sum by (reason) (rate(mopl_bridge_sse_refused_total${R}))`, 'SSE {{reason}}'], [`sum by (reason) (rate(mopl_bridge_stomp_refused_total${R}))`, 'STOMP {{reason}}'], [`sum(rate(mopl_bridge_stomp_turned_away_total${R}))`, 'CONNECT']])),
        row(['Fan-out', '전달'],
            graph(['Sent', '전달'], 'cps', [[`sum(rate(mopl_bridge_sent_total${R}))`, 'all'], [`sum(rate(mopl_bridge_sse_events_total${R}))`, 'SSE events']]),
            graph(['Bytes', '전송량'], 'Bps', [[`sum(rate(mopl_bridge_sent_bytes_total${R}))`, 'bytes']]),
            graph(['Given up', '유실·종료'], 'cps', [[`sum(rate(mopl_bridge_slow_consumers_total${R}))`, 'slow consumers'], [`sum(rate(mopl_bridge_stomp_silent_total${R}))`, 'silent'], [`sum(rate(mopl_bridge_sse_resyncs_total${R}))`, 'resync']])),
        row(['Presence and lag', '시청과 지연'],
            graph(['Watching', '시청'], 'short', [['sum(mopl_bridge_watchers)', 'people'], ['sum(mopl_bridge_rooms)', 'contents'], ['sum(mopl_bridge_watch_tabs)', 'subscriptions']]),
            graph(['Chat', '채팅'], 'cps', [[`sum by (outcome) (rate(mopl_bridge_chat_messages_total${R}))`, '{{outcome}}'], [`sum(rate(mopl_bridge_live_log_entries_total${R}))`, 'live log']]),
            graph(['Presence away', '시청 정보 불가'], 'short', [['sum(mopl_bridge_presence_away)', 'bridges'], [`sum by (reason) (rate(mopl_bridge_presence_reentries_total${R}))`, 'entered again, {{reason}}'], [`sum(rate(mopl_bridge_live_log_missed_total${R}))`, 'missed']]),
            graph(['Behind', '지연'], 'short', [['sum by (group) (mopl_bus_lag_messages)', '{{group}}'], ['sum(mopl_outbox_backlog_events)', 'outbox']])),
        row(['Processes', '프로세스'],
            graph(['Processor', 'CPU'], 'none', [[`sum by (worker) (rate(process_cpu_seconds_total{${bridge}}${R}))`, '{{worker}}']]),
            graph(['Resident memory', '메모리'], 'bytes', [[`sum by (worker) (process_resident_memory_bytes{${bridge}})`, '{{worker}}']]),
            graph(['Descriptors', '디스크립터'], 'short', [[`sum by (worker) (process_open_fds{${bridge}})`, '{{worker}}']])),
    ],
};

export const pages = [system, domains, batch, content, playlist, watching, realtime];
