-- What `make demo` runs, from the folder that holds flights.csv (tools/fetch-flights).

CREATE TABLE flights (
    id BIGINT PRIMARY KEY,
    year INTEGER, month INTEGER, day INTEGER,
    dep_time INTEGER, sched_dep_time INTEGER, dep_delay DOUBLE PRECISION,
    arr_time INTEGER, sched_arr_time INTEGER, arr_delay DOUBLE PRECISION,
    carrier TEXT, flight INTEGER, tailnum TEXT, origin TEXT, dest TEXT,
    air_time DOUBLE PRECISION, distance INTEGER,
    hour INTEGER, minute INTEGER, time_hour TIMESTAMPTZ);

COPY flights FROM 'flights.csv' (FORMAT csv, HEADER, NULL 'NA');

-- A flight by its key: the learned index answers.
SELECT id, carrier, flight, origin, dest, dep_delay FROM flights WHERE id = 123456;

-- Flights in a range of keys: row groups outside it are skipped.
SELECT id, carrier, flight, origin, dest FROM flights WHERE id BETWEEN 200000 AND 200004 ORDER BY id;

-- Departures and mean delay by carrier: the same rows, vectorised.
SELECT carrier, count(*) AS departures, avg(dep_delay) AS mean_delay
FROM flights WHERE dep_delay IS NOT NULL GROUP BY carrier ORDER BY departures DESC;

-- Three checks. One row of a hundred by its key; a count beyond 50; a sum of fifty.
CREATE TABLE hundred (id BIGINT PRIMARY KEY, name TEXT NOT NULL);
INSERT INTO hundred VALUES
    (0, 'row 0'), (1, 'row 1'), (2, 'row 2'), (3, 'row 3'), (4, 'row 4'),
    (5, 'row 5'), (6, 'row 6'), (7, 'row 7'), (8, 'row 8'), (9, 'row 9'),
    (10, 'row 10'), (11, 'row 11'), (12, 'row 12'), (13, 'row 13'), (14, 'row 14'),
    (15, 'row 15'), (16, 'row 16'), (17, 'row 17'), (18, 'row 18'), (19, 'row 19'),
    (20, 'row 20'), (21, 'row 21'), (22, 'row 22'), (23, 'row 23'), (24, 'row 24'),
    (25, 'row 25'), (26, 'row 26'), (27, 'row 27'), (28, 'row 28'), (29, 'row 29'),
    (30, 'row 30'), (31, 'row 31'), (32, 'row 32'), (33, 'row 33'), (34, 'row 34'),
    (35, 'row 35'), (36, 'row 36'), (37, 'row 37'), (38, 'row 38'), (39, 'row 39'),
    (40, 'row 40'), (41, 'row 41'), (42, 'row 42'), (43, 'row 43'), (44, 'row 44'),
    (45, 'row 45'), (46, 'row 46'), (47, 'row 47'), (48, 'row 48'), (49, 'row 49'),
    (50, 'row 50'), (51, 'row 51'), (52, 'row 52'), (53, 'row 53'), (54, 'row 54'),
    (55, 'row 55'), (56, 'row 56'), (57, 'row 57'), (58, 'row 58'), (59, 'row 59'),
    (60, 'row 60'), (61, 'row 61'), (62, 'row 62'), (63, 'row 63'), (64, 'row 64'),
    (65, 'row 65'), (66, 'row 66'), (67, 'row 67'), (68, 'row 68'), (69, 'row 69'),
    (70, 'row 70'), (71, 'row 71'), (72, 'row 72'), (73, 'row 73'), (74, 'row 74'),
    (75, 'row 75'), (76, 'row 76'), (77, 'row 77'), (78, 'row 78'), (79, 'row 79'),
    (80, 'row 80'), (81, 'row 81'), (82, 'row 82'), (83, 'row 83'), (84, 'row 84'),
    (85, 'row 85'), (86, 'row 86'), (87, 'row 87'), (88, 'row 88'), (89, 'row 89'),
    (90, 'row 90'), (91, 'row 91'), (92, 'row 92'), (93, 'row 93'), (94, 'row 94'),
    (95, 'row 95'), (96, 'row 96'), (97, 'row 97'), (98, 'row 98'), (99, 'row 99');

SELECT * FROM hundred WHERE id = 42;
SELECT count(*) FROM hundred WHERE id > 50;

CREATE TABLE fifty (id BIGINT PRIMARY KEY, amount DOUBLE PRECISION);
INSERT INTO fifty VALUES
    (0, 100.0), (1, 100.0), (2, 100.0), (3, 100.0), (4, 100.0), (5, 100.0), (6, 100.0), (7, 100.0), (8, 100.0), (9, 100.0),
    (10, 100.0), (11, 100.0), (12, 100.0), (13, 100.0), (14, 100.0), (15, 100.0), (16, 100.0), (17, 100.0), (18, 100.0), (19, 100.0),
    (20, 100.0), (21, 100.0), (22, 100.0), (23, 100.0), (24, 100.0), (25, 100.0), (26, 100.0), (27, 100.0), (28, 100.0), (29, 100.0),
    (30, 100.0), (31, 100.0), (32, 100.0), (33, 100.0), (34, 100.0), (35, 100.0), (36, 100.0), (37, 100.0), (38, 100.0), (39, 100.0),
    (40, 100.0), (41, 100.0), (42, 100.0), (43, 100.0), (44, 100.0), (45, 100.0), (46, 100.0), (47, 100.0), (48, 100.0), (49, 100.0);

SELECT sum(amount) FROM fifty;
