-- What batch jobs did, and where each goes on after it was killed.

CREATE TABLE job_runs (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job         text COLLATE "C" NOT NULL,
    started_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    status      text COLLATE "C" NOT NULL DEFAULT 'running' CONSTRAINT job_runs_status CHECK (status IN ('running', 'succeeded', 'failed')),
    counts      jsonb NOT NULL DEFAULT '{}',
    error       text,
    CONSTRAINT job_runs_finished CHECK ((status = 'running') = (finished_at IS NULL))
);
CREATE INDEX job_runs_of_job ON job_runs (job, id);

CREATE TABLE job_checkpoints (
    job        text COLLATE "C" PRIMARY KEY,
    position   text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
