/* crash_flips.c - damage to the files of a closed database: an error or the right answer, never
 * another.
 *
 * A database is filled, worked on and closed on a simulated disk. Then, many times, a copy of the
 * disk is damaged in one place (a bit, a byte, a range of zeros, a file cut short, missing, swapped
 * with another, or replaced by what it was before), verified, and opened. Opening may refuse,
 * reading may fail; what is read, by index and by scan, must be right. Verifying must tell of any
 * damage to bytes that count (flip_live.h), naming the file, in bounded memory, and changes
 * nothing.
 *
 * Of the databases, a quarter is closed without a checkpoint, so that its log counts; --parquet is
 * the percentage whose segments are the engine's Parquet (OMENDB_ENGINE), the others have plain
 * ones.
 *
 * usage: crash_flips [--seed N] [--flips N] [--seconds S] [--parquet PERCENT] [--episode-damages N]
 *     ends after so many flips of bits and bytes, or so many seconds
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "crash/crash_database.h"
#include "crash/crash_model.h"
#include "crash/flip_live.h"
#include "store/verify.h"

enum {
    STEPS = 60,
    STALE_MAX = 4,
    DAMAGES_A_DATABASE = 2000,
    LOG_FILE_BYTES = 16384,
    VERIFY_MEMORY_MAX = 64 << 20,
    RESIDENT_KIB_MAX = 1 << 20,
};

enum damage {
    DAMAGE_BIT,
    DAMAGE_BYTE,
    DAMAGE_ZEROS,
    DAMAGE_CUT,
    DAMAGE_MISSING,
    DAMAGE_SWAPPED,
    DAMAGE_STALE,
    DAMAGE_COUNT,
};

static const char *const damage_names[DAMAGE_COUNT] = {"bit",     "byte",    "zeros", "cut",
                                                       "missing", "swapped", "stale"};

enum outcome { OUTCOME_HARMLESS, OUTCOME_REFUSED, OUTCOME_UNREADABLE, OUTCOME_COUNT };

struct flips {
    struct random random;
    uint64_t seed;
    const char *engine; /* NULL: plain segments alone */
    unsigned parquet_percent;
    struct sim_disk *closed;           /* the whole database, closed */
    struct sim_disk *stale[STALE_MAX]; /* the disk at former moments */
    struct flip_files files;
    bool log_counts;   /* closed without a checkpoint */
    const char *codec; /* of this database: NULL or the engine */
    struct model model;
    uint64_t outcomes[DAMAGE_COUNT][OUTCOME_COUNT];
    uint64_t damages, flips, parquet, reported, wrong;
};

/* One damage: what it did to which files. */
struct wound {
    enum damage kind;
    const struct flip_file *file, *other; /* other: NULL, or what it was swapped with */
    uint64_t at;                          /* the first byte that was damaged */
    bool harmed, other_harmed;            /* bytes that count are not what they were */
};

/* --- files of a disk --- */

static uint8_t *read_file(struct sim_disk *disk, const char *path, size_t *length)
{
    const struct os *os = sim_disk_os(disk);
    int64_t file;
    uint64_t bytes;
    if (os->file_open(os, path, OS_OPEN_READ, &file, NULL) != OMEN_OK)
        return NULL;
    OMEN_ASSERT(os->file_size(os, file, &bytes, NULL) == OMEN_OK);
    uint8_t *data = malloc(bytes + 1);
    OMEN_ASSERT(data != NULL);
    OMEN_ASSERT(os->file_read_at(os, file, data, bytes, 0, length, NULL) == OMEN_OK);
    os->file_close(os, file);
    return data;
}

/* The file becomes these bytes. */
static void write_file(struct sim_disk *disk, const char *path, const uint8_t *data, size_t length)
{
    const struct os *os = sim_disk_os(disk);
    int64_t file;
    (void)os->file_remove(os, path, NULL);
    OMEN_ASSERT(os->file_open(os, path, OS_OPEN_CREATE_NEW, &file, NULL) == OMEN_OK);
    if (length != 0)
        OMEN_ASSERT(os->file_write_at(os, file, data, length, 0, NULL) == OMEN_OK);
    os->file_close(os, file);
}

/* --- damage --- */

/* Another file of the kind that the path ends in; NULL where there is none. */
static const struct flip_file *another(struct flips *flips, const struct flip_file *file)
{
    const char *end = strrchr(file->path, '.');
    size_t start = random_below(&flips->random, flips->files.count);
    for (size_t i = 0; i < flips->files.count; i++) {
        const struct flip_file *other = &flips->files.files[(start + i) % flips->files.count];
        const char *other_end = strrchr(other->path, '.');
        if (other != file &&
            (end == NULL || other_end == NULL ? end == other_end : strcmp(end, other_end) == 0))
            return other;
    }
    return NULL;
}

/* A byte of the file; mostly one that counts, where there are some. */
static size_t choose_byte(struct flips *flips, const struct flip_file *file)
{
    struct random *random = &flips->random;
    if (file->live_count == 0 || random_below(random, 8) == 0)
        return random_below(random, file->bytes);
    const struct flip_range *range = &file->live[random_below(random, file->live_count)];
    return range->from + random_below(random, range->to - range->from);
}

/* Changes bytes of an open file in place. */
static void damage_bytes(struct flips *flips, const struct os *os, int64_t handle,
                         struct wound *wound)
{
    static const size_t ranges[] = {8, 512, 4096, SIZE_MAX};
    struct random *random = &flips->random;
    size_t at = choose_byte(flips, wound->file), range = 1, got;
    if (wound->kind == DAMAGE_ZEROS) {
        range = ranges[random_below(random, 4)];
        at = range == SIZE_MAX ? 0 : at / range * range;
        range = range < wound->file->bytes - at ? range : wound->file->bytes - at;
    }
    wound->at = at;
    uint8_t *before = malloc(range), *data = calloc(range, 1);
    OMEN_ASSERT(before != NULL && data != NULL);
    OMEN_ASSERT(os->file_read_at(os, handle, before, range, at, &got, NULL) == OMEN_OK);
    if (wound->kind == DAMAGE_BIT)
        data[0] = before[0] ^ (uint8_t)(1 << random_below(random, 8));
    else if (wound->kind == DAMAGE_BYTE)
        data[0] = (uint8_t)(before[0] + 1 + random_below(random, 255));
    OMEN_ASSERT(os->file_write_at(os, handle, data, range, at, NULL) == OMEN_OK);
    for (size_t i = 0; i < range && !wound->harmed; i++)
        wound->harmed = data[i] != before[i] && flip_file_counts(wound->file, at + i);
    free(before);
    free(data);
}

static void edit(struct flips *flips, struct sim_disk *image, struct wound *wound)
{
    const struct os *os = sim_disk_os(image);
    int64_t handle;
    OMEN_ASSERT(os->file_open(os, wound->file->path, OS_OPEN_WRITE, &handle, NULL) == OMEN_OK);
    if (wound->kind == DAMAGE_CUT) {
        wound->at = random_below(&flips->random, wound->file->bytes);
        OMEN_ASSERT(os->file_truncate(os, handle, wound->at, NULL) == OMEN_OK);
        wound->harmed = wound->file->live_count != 0; /* its length counts too */
    } else {
        damage_bytes(flips, os, handle, wound);
    }
    os->file_close(os, handle);
}

static bool swap(struct flips *flips, struct sim_disk *image, struct wound *wound)
{
    size_t length, other_length;
    wound->other = another(flips, wound->file);
    if (wound->other == NULL)
        return false;
    uint8_t *data = read_file(image, wound->file->path, &length);
    uint8_t *other = read_file(image, wound->other->path, &other_length);
    write_file(image, wound->file->path, other, other_length);
    write_file(image, wound->other->path, data, length);
    wound->harmed = flip_file_harmed(wound->file, data, other, other_length);
    wound->other_harmed = flip_file_harmed(wound->other, other, data, length);
    free(data);
    free(other);
    return true;
}

static bool make_stale(struct flips *flips, struct sim_disk *image, struct wound *wound)
{
    size_t length, stale_length;
    struct sim_disk *from = flips->stale[random_below(&flips->random, STALE_MAX)];
    uint8_t *stale = from != NULL ? read_file(from, wound->file->path, &stale_length) : NULL;
    if (stale == NULL)
        return false;
    uint8_t *data = read_file(image, wound->file->path, &length);
    write_file(image, wound->file->path, stale, stale_length);
    wound->harmed = flip_file_harmed(wound->file, data, stale, stale_length);
    bool changed = length != stale_length || memcmp(data, stale, length) != 0;
    free(data);
    free(stale);
    return changed;
}

/* Damages the image; false where there was nothing to do it to. */
static bool damage_image(struct flips *flips, struct sim_disk *image, struct wound *wound)
{
    const struct os *os = sim_disk_os(image);
    switch (wound->kind) {
    case DAMAGE_MISSING:
        OMEN_ASSERT(os->file_remove(os, wound->file->path, NULL) == OMEN_OK);
        wound->harmed = wound->file->live_count != 0;
        return true;
    case DAMAGE_SWAPPED:
        return swap(flips, image, wound);
    case DAMAGE_STALE:
        return make_stale(flips, image, wound);
    default:
        if (wound->file->bytes == 0)
            return false;
        edit(flips, image, wound);
        return true;
    }
}

/* `wound` is NULL where nothing was damaged. */
static void tell_wrong(struct flips *flips, const struct wound *wound, const char *what)
{
    if (flips->wrong++ >= 10)
        return;
    printf("flips: wrong (SEED=%llu): ", (unsigned long long)flips->seed);
    if (wound != NULL)
        printf("%s of %s at byte %llu: ", damage_names[wound->kind], wound->file->path,
               (unsigned long long)wound->at);
    printf("%s\n", what);
}

/* --- verifying --- */

struct telling {
    const struct wound *wound;
    bool names_file, names_other;
    char text[1024]; /* the first fault */
};

/* Whether a line of the report is about the file. A log file that is not there is told by an LSN that
 * it would hold, or by the one before it. */
static bool names(const char *line, const struct flip_file *file)
{
    const char *name = strrchr(file->path, '/') + 1;
    return strstr(line, name) != NULL ||
           (strstr(file->path, "/log/") != NULL &&
            (strstr(line, "the log lacks the file that holds LSN") != NULL ||
             strstr(line, "(the file after") != NULL));
}

static void hear(void *context, const char *line)
{
    struct telling *telling = context;
    const struct wound *wound = telling->wound;
    if (strncmp(line, "fault", 5) != 0)
        return;
    if (telling->text[0] == '\0')
        snprintf(telling->text, sizeof telling->text, "%s", line);
    telling->names_file = telling->names_file || names(line, wound->file);
    telling->names_other =
        telling->names_other || (wound->other != NULL && names(line, wound->other));
}

/* Of two files that were swapped one is enough: the manifest hides everything else, and of the log the
 * first fault is told. */
static bool told_enough(const struct wound *wound, const struct telling *telling)
{
    return telling->names_file || (wound->other != NULL && telling->names_other);
}

static void verify(struct flips *flips, struct sim_disk *image, const struct wound *wound)
{
    struct telling telling = {.wound = wound};
    struct verify_report report = {.line = hear, .context = &telling};
    const struct database_options options = {
        .path = "db",
        .memory_bytes_max = VERIFY_MEMORY_MAX,
        .engine_path = flips->codec,
        .plain_segments = flips->codec == NULL,
    };
    char text[1200];
    omen_error error = {.message = ""};
    omen_status status = database_verify(sim_disk_os(image), &options, &report, &error);
    OMEN_ASSERT(sim_disk_open_count(image) == 0);
    if (status != OMEN_OK) { /* it could not be verified: a fault of its own */
        snprintf(telling.text, sizeof telling.text, "%s", error.message);
        telling.names_file = names(error.message, wound->file);
        telling.names_other = wound->other != NULL && names(error.message, wound->other);
    }
    bool harmed = wound->harmed || wound->other_harmed;
    if (harmed && (status != OMEN_OK || report.faults > 0))
        flips->reported++;
    if (status == OMEN_OUT_OF_MEMORY || strstr(telling.text, "out of memory") != NULL) {
        tell_wrong(flips, wound, "verifying needs too much memory");
    } else if (wound->kind == DAMAGE_STALE) {
        return; /* it may be right: what it was before, and the log from there on */
    } else if (harmed && status == OMEN_OK && report.faults == 0) {
        tell_wrong(flips, wound, "verifying finds no fault");
    } else if (harmed && !told_enough(wound, &telling)) {
        snprintf(text, sizeof text, "verifying does not name the file: %s", telling.text);
        tell_wrong(flips, wound, text);
    }
}

/* --- one damage --- */

static enum damage choose_damage(struct random *random)
{
    uint64_t choice = random_below(random, 100);
    return choice < 45 ? DAMAGE_BIT : choice < 90 ? DAMAGE_BYTE : 2 + random_below(random, 5);
}

static void open_and_read(struct flips *flips, struct crash_database *it, const struct wound *wound)
{
    char text[512];
    uint64_t failed = 0;
    omen_error error;
    uint64_t *outcomes = flips->outcomes[wound->kind];
    if (!crash_database_open(it, &error)) {
        outcomes[OUTCOME_REFUSED]++;
        return;
    }
    if (!model_never_wrong(&flips->model, it->durable, &failed, text, sizeof text))
        tell_wrong(flips, wound, text);
    outcomes[failed != 0 ? OUTCOME_UNREADABLE : OUTCOME_HARMLESS]++;
    (void)crash_database_close(it);
}

static void one_damage(struct flips *flips)
{
    struct wound wound = {.kind = choose_damage(&flips->random)};
    wound.file = &flips->files.files[random_below(&flips->random, flips->files.count)];
    struct crash_database it = {
        .disk = sim_disk_draw(flips->closed, SIM_KEEP, random_next(&flips->random)),
        .log_file_bytes = LOG_FILE_BYTES,
        .engine = flips->codec};
    if (damage_image(flips, it.disk, &wound)) {
        flips->damages++;
        flips->flips += wound.kind <= DAMAGE_BYTE;
        flips->parquet += flips->codec != NULL;
        verify(flips, it.disk, &wound);
        open_and_read(flips, &it, &wound);
    }
    sim_disk_destroy(it.disk);
}

/* --- the database --- */

static void work(struct flips *flips, struct crash_database *it)
{
    struct random *random = &flips->random;
    omen_error error;
    for (int i = 0; i < MODEL_TABLES; i++)
        (void)model_define(&flips->model, it->durable, random, &error);
    for (int i = 0; i < STEPS; i++) {
        uint64_t choice = random_below(random, 16);
        omen_status status = OMEN_OK;
        if (choice == 0)
            crash_database_maintain(it, random);
        else if (choice == 1)
            (void)crash_database_run(it->durable, "CHECKPOINT", &error);
        else if (choice == 2 && i % 8 == 0)
            status = model_define(&flips->model, it->durable, random, &error);
        else
            status = model_write(&flips->model, it->durable, random, true, &error);
        OMEN_ASSERT(status == OMEN_OK);
        if (i % (STEPS / STALE_MAX) == 0)
            flips->stale[i / (STEPS / STALE_MAX)] =
                sim_disk_draw(flips->closed, SIM_KEEP, random_next(random));
    }
}

/* Closes it. Without a checkpoint, which finds the disk full, where its log is to count. */
static void finish(struct flips *flips, struct crash_database *it)
{
    const struct sim_fault full = {.call = SIM_CREATE,
                                   .kind = SIM_PARQUET,
                                   .nth = 1,
                                   .forever = true,
                                   .status = OMEN_DISK_FULL};
    if (flips->log_counts)
        sim_disk_fail(flips->closed, &full);
    OMEN_ASSERT(crash_database_close(it) == OMEN_OK);
    sim_disk_mend(flips->closed);
    flip_files_find(flips->closed, &flips->files);
}

/* Nothing is wrong where nothing was damaged. */
static bool is_whole(struct flips *flips)
{
    struct verify_report report = {.line = NULL};
    const struct database_options options = {
        .path = "db", .engine_path = flips->codec, .plain_segments = flips->codec == NULL};
    return database_verify(sim_disk_os(flips->closed), &options, &report, NULL) == OMEN_OK &&
           report.faults == 0;
}

static void forget(struct flips *flips)
{
    for (int i = 0; i < STALE_MAX; i++) {
        sim_disk_destroy(flips->stale[i]);
        flips->stale[i] = NULL;
    }
    sim_disk_destroy(flips->closed);
}

/* Everything from one seed: the database and its damages. */
static void episode(struct flips *flips, uint64_t damages)
{
    omen_error error;
    flips->random = random_seeded(flips->seed);
    flips->codec =
        random_below(&flips->random, 100) < flips->parquet_percent ? flips->engine : NULL;
    flips->log_counts = random_below(&flips->random, 4) == 0;
    flips->closed = sim_disk_create(random_next(&flips->random));
    flips->model = (struct model){0};
    struct crash_database it = {
        .disk = flips->closed, .log_file_bytes = LOG_FILE_BYTES, .engine = flips->codec};
    if (!crash_database_open(&it, &error)) {
        tell_wrong(flips, NULL, error.message);
    } else {
        work(flips, &it);
        finish(flips, &it);
        if (!is_whole(flips))
            tell_wrong(flips, NULL, "verifying finds faults");
        for (uint64_t i = 0; i < damages && flips->wrong == 0; i++)
            one_damage(flips);
    }
    forget(flips);
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int report(const struct flips *flips, double seconds)
{
    uint64_t sums[OUTCOME_COUNT] = {0};
    printf("%-8s %10s %10s %10s\n", "damage", "harmless", "refused", "unreadable");
    for (int damage = 0; damage < DAMAGE_COUNT; damage++) {
        const uint64_t *outcomes = flips->outcomes[damage];
        printf("%-8s %10llu %10llu %10llu\n", damage_names[damage],
               (unsigned long long)outcomes[OUTCOME_HARMLESS],
               (unsigned long long)outcomes[OUTCOME_REFUSED],
               (unsigned long long)outcomes[OUTCOME_UNREADABLE]);
        for (int i = 0; i < OUTCOME_COUNT; i++)
            sums[i] += outcomes[i];
    }
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("flips: flips=%llu damages=%llu parquet=%llu wrong=%llu refused=%llu unreadable=%llu "
           "harmless=%llu reported=%llu seconds=%.1f rate=%.0f peak_mib=%ld\n",
           (unsigned long long)flips->flips, (unsigned long long)flips->damages,
           (unsigned long long)flips->parquet, (unsigned long long)flips->wrong,
           (unsigned long long)sums[OUTCOME_REFUSED], (unsigned long long)sums[OUTCOME_UNREADABLE],
           (unsigned long long)sums[OUTCOME_HARMLESS], (unsigned long long)flips->reported, seconds,
           (double)flips->damages / seconds, usage.ru_maxrss / 1024);
    if (usage.ru_maxrss > RESIDENT_KIB_MAX || flips->flips == 0)
        return 1;
    return flips->wrong == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    uint64_t flips_max = 20000, damages = DAMAGES_A_DATABASE;
    double seconds_max = 60;
    struct flips *flips = calloc(1, sizeof *flips);
    OMEN_ASSERT(flips != NULL);
    /* The same blocks come and go with each database: they need not go back to the system. */
    mallopt(M_MMAP_THRESHOLD, 256 << 20);
    mallopt(M_TRIM_THRESHOLD, 512 << 20);
    flips->seed = (uint64_t)time(NULL) * 1000003 % 1000000000;
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        if (strcmp(name, "--seed") == 0)
            flips->seed = strtoull(value, NULL, 10);
        else if (strcmp(name, "--flips") == 0)
            flips_max = strtoull(value, NULL, 10);
        else if (strcmp(name, "--seconds") == 0)
            seconds_max = strtod(value, NULL);
        else if (strcmp(name, "--parquet") == 0)
            flips->parquet_percent = (unsigned)strtoul(value, NULL, 10);
        else if (strcmp(name, "--episode-damages") == 0)
            damages = strtoull(value, NULL, 10);
    }
    flips->engine = getenv("OMENDB_ENGINE");
    if (flips->parquet_percent > 0 && (flips->engine == NULL || access(flips->engine, R_OK) != 0)) {
        printf("skipped: OMENDB_ENGINE names no engine\n");
        return 77;
    }
    printf("flips: SEED=%llu\n", (unsigned long long)flips->seed);
    double begun = seconds_now();
    while (flips->flips < flips_max && flips->wrong == 0 && seconds_now() - begun < seconds_max) {
        episode(flips, damages);
        flips->seed++;
    }
    int result = report(flips, seconds_now() - begun);
    free(flips);
    return result;
}
