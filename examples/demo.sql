-- What `make demo` runs, from the folder that holds the five tables of nycflights13
-- (tools/fetch-flights).

CREATE TABLE flights (
    id BIGINT PRIMARY KEY, -- its line in the original file
    year INTEGER, month INTEGER, day INTEGER,
    dep_time INTEGER, sched_dep_time INTEGER, dep_delay DOUBLE PRECISION,
    arr_time INTEGER, sched_arr_time INTEGER, arr_delay DOUBLE PRECISION,
    carrier TEXT, flight INTEGER, tailnum TEXT, origin TEXT, dest TEXT,
    air_time DOUBLE PRECISION, distance INTEGER,
    hour INTEGER, minute INTEGER, time_hour TIMESTAMPTZ);
CREATE TABLE airlines (carrier TEXT PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE airports (
    faa TEXT PRIMARY KEY, name TEXT NOT NULL, lat DOUBLE PRECISION, lon DOUBLE PRECISION,
    alt INTEGER, tz INTEGER, dst TEXT, tzone TEXT);
CREATE TABLE planes (
    tailnum TEXT PRIMARY KEY, year INTEGER, type TEXT, manufacturer TEXT, model TEXT,
    engines INTEGER, seats INTEGER, speed INTEGER, engine TEXT);
CREATE TABLE weather (
    origin TEXT, year INTEGER, month INTEGER, day INTEGER, hour INTEGER,
    temp DOUBLE PRECISION, dewp DOUBLE PRECISION, humid DOUBLE PRECISION,
    wind_dir INTEGER, wind_speed DOUBLE PRECISION, wind_gust DOUBLE PRECISION,
    precip DOUBLE PRECISION, pressure DOUBLE PRECISION, visib DOUBLE PRECISION,
    time_hour TIMESTAMPTZ, PRIMARY KEY (origin, time_hour));

COPY flights FROM 'flights.csv' (FORMAT csv, HEADER, NULL 'NA');
COPY airlines FROM 'airlines.csv' (FORMAT csv, HEADER, NULL 'NA');
COPY airports FROM 'airports.csv' (FORMAT csv, HEADER, NULL 'NA');
COPY planes FROM 'planes.csv' (FORMAT csv, HEADER, NULL 'NA');
COPY weather FROM 'weather.csv' (FORMAT csv, HEADER, NULL 'NA');

-- A flight by its key: the learned index answers.
SELECT id, carrier, flight, origin, dest, dep_delay FROM flights WHERE id = 123456;

-- An update by key, and the row again: what was written is there for whoever asks next.
UPDATE flights SET dep_delay = dep_delay + 1 WHERE id = 123456;
SELECT id, dep_delay FROM flights WHERE id = 123456;

-- Flights in a range of keys: row groups outside it are skipped.
SELECT id, carrier, flight, origin, dest FROM flights WHERE id BETWEEN 200000 AND 200004 ORDER BY id;

-- Departures and mean delay by carrier: the same rows, vectorised.
SELECT carrier, count(*) AS departures, round(CAST(avg(dep_delay) AS numeric(10,4)), 2) AS mean_delay
FROM flights WHERE dep_delay IS NOT NULL GROUP BY carrier ORDER BY departures DESC;

-- Five airlines and the seats they moved, from three tables.
SELECT a.name, count(*) AS flights, sum(p.seats) AS seats, count(DISTINCT p.tailnum) AS planes
FROM flights f JOIN airlines a ON a.carrier = f.carrier JOIN planes p ON p.tailnum = f.tailnum
WHERE f.dep_time IS NOT NULL
GROUP BY a.name ORDER BY seats DESC LIMIT 5;

-- One row of a hundred by its key; a count beyond 50; a sum of fifty.
CREATE TABLE hundred (id BIGINT PRIMARY KEY, name TEXT NOT NULL);
INSERT INTO hundred SELECT i, 'row ' || i FROM generate_series(0, 99) AS s (i);
SELECT * FROM hundred WHERE id = 42;
SELECT count(*) FROM hundred WHERE id > 50;
CREATE TABLE fifty (id BIGINT PRIMARY KEY, amount DOUBLE PRECISION);
INSERT INTO fifty SELECT i, 100.0 FROM generate_series(0, 49) AS s (i);
SELECT sum(amount) FROM fifty;
