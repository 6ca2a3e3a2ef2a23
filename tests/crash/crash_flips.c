/* crash_flips.c - damage to the files of a closed database: an error or the right answer, never
 * another.
 *
 * A database is filled, worked on and closed on a simulated disk. Then, many times, a copy of the
 * disk is damaged in one place (a bit, a byte, a range of zeros, a file cut short, missing, swapped
 * with another, or replaced by what it was before) and opened. Opening may refuse, reading may
 * fail; what is read must be right.
 *
 * usage: crash_flips [--seed N] [--damages N] [--seconds S]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "crash/crash_database.h"
#include "crash/crash_model.h"

enum { FILES_MAX = 256, PATH_BYTES = 256, STEPS = 60, STALE_MAX = 4, DAMAGES_A_DATABASE = 2000 };

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

struct files {
    char paths[FILES_MAX][PATH_BYTES];
    uint64_t bytes[FILES_MAX];
    size_t count;
};

struct flips {
    struct random random;
    uint64_t seed;
    struct sim_disk *closed;           /* the whole database, closed */
    struct sim_disk *stale[STALE_MAX]; /* the disk at former moments */
    struct files files;
    struct model model;
    uint64_t outcomes[DAMAGE_COUNT][OUTCOME_COUNT];
    uint64_t damages, wrong;
};

/* --- files of a disk --- */

static void note_file(void *context, const char *path, uint64_t bytes)
{
    struct files *files = context;
    OMEN_ASSERT(files->count < FILES_MAX && strlen(path) < PATH_BYTES);
    memcpy(files->paths[files->count], path, strlen(path) + 1);
    files->bytes[files->count++] = bytes;
}

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
static const char *another(struct flips *flips, const char *path)
{
    const char *end = strrchr(path, '.');
    size_t start = random_below(&flips->random, flips->files.count);
    for (size_t i = 0; i < flips->files.count; i++) {
        const char *other = flips->files.paths[(start + i) % flips->files.count];
        const char *other_end = strrchr(other, '.');
        if (strcmp(other, path) != 0 &&
            (end == NULL || other_end == NULL ? end == other_end : strcmp(end, other_end) == 0))
            return other;
    }
    return NULL;
}

static void damage_bytes(struct flips *flips, enum damage damage, uint8_t *data, size_t *length)
{
    static const size_t ranges[] = {8, 512, 4096, SIZE_MAX};
    struct random *random = &flips->random;
    size_t at = random_below(random, *length);
    if (damage == DAMAGE_BIT)
        data[at] ^= (uint8_t)(1 << random_below(random, 8));
    else if (damage == DAMAGE_BYTE)
        data[at] = (uint8_t)(data[at] + 1 + random_below(random, 255));
    else if (damage == DAMAGE_CUT)
        *length = at;
    else {
        size_t range = ranges[random_below(random, 4)];
        at = range == SIZE_MAX ? 0 : at / range * range;
        memset(data + at, 0, range < *length - at ? range : *length - at);
    }
}

/* Damages one file of the image; false where there was nothing to do it to. */
static bool damage_image(struct flips *flips, struct sim_disk *image, enum damage damage,
                         const char *path)
{
    size_t length, other_length;
    uint8_t *data = read_file(image, path, &length), *other_data = NULL;
    const char *other = path;
    bool done = data != NULL && (length != 0 || damage >= DAMAGE_MISSING);
    if (done && damage == DAMAGE_SWAPPED) {
        other = another(flips, path);
        other_data = other != NULL ? read_file(image, other, &other_length) : NULL;
        done = other_data != NULL;
    } else if (done && damage == DAMAGE_STALE) {
        struct sim_disk *stale = flips->stale[random_below(&flips->random, STALE_MAX)];
        other_data = stale != NULL ? read_file(stale, path, &other_length) : NULL;
        done = other_data != NULL &&
               (other_length != length || memcmp(data, other_data, length) != 0);
    }
    if (done && damage == DAMAGE_MISSING) {
        const struct os *os = sim_disk_os(image);
        OMEN_ASSERT(os->file_remove(os, path, NULL) == OMEN_OK);
    } else if (done && damage >= DAMAGE_SWAPPED) {
        if (damage == DAMAGE_SWAPPED)
            write_file(image, other, data, length);
        write_file(image, path, other_data, other_length);
    } else if (done) {
        damage_bytes(flips, damage, data, &length);
        write_file(image, path, data, length);
    }
    free(data);
    free(other_data);
    return done;
}

static void tell_wrong(struct flips *flips, enum damage damage, const char *path, const char *what)
{
    if (flips->wrong++ < 10)
        printf("flips: wrong (SEED=%llu): %s of %s: %s\n", (unsigned long long)flips->seed,
               damage_names[damage], path, what);
}

static void one_damage(struct flips *flips)
{
    enum damage damage = random_below(&flips->random, DAMAGE_COUNT);
    const char *path = flips->files.paths[random_below(&flips->random, flips->files.count)];
    struct crash_database it = {
        .disk = sim_disk_draw(flips->closed, SIM_KEEP, random_next(&flips->random))};
    char text[512];
    uint64_t failed = 0;
    omen_error error;
    if (damage_image(flips, it.disk, damage, path)) {
        flips->damages++;
        if (!crash_database_open(&it, &error)) {
            flips->outcomes[damage][OUTCOME_REFUSED]++;
        } else {
            if (!model_never_wrong(&flips->model, it.durable, &failed, text, sizeof text))
                tell_wrong(flips, damage, path, text);
            flips->outcomes[damage][failed != 0 ? OUTCOME_UNREADABLE : OUTCOME_HARMLESS]++;
            (void)crash_database_close(&it);
        }
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
    flips->closed = sim_disk_create(random_next(&flips->random));
    flips->model = (struct model){0};
    flips->files.count = 0;
    struct crash_database it = {.disk = flips->closed, .log_file_bytes = 16384};
    if (!crash_database_open(&it, &error)) {
        tell_wrong(flips, 0, "db", error.message);
    } else {
        work(flips, &it);
        OMEN_ASSERT(crash_database_close(&it) == OMEN_OK);
        sim_disk_each(flips->closed, note_file, &flips->files);
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
    printf("flips: damages=%llu wrong=%llu refused=%llu unreadable=%llu harmless=%llu seconds=%.1f\n",
           (unsigned long long)flips->damages, (unsigned long long)flips->wrong,
           (unsigned long long)sums[OUTCOME_REFUSED], (unsigned long long)sums[OUTCOME_UNREADABLE],
           (unsigned long long)sums[OUTCOME_HARMLESS], seconds);
    return flips->wrong == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    uint64_t damages_max = 20000;
    double seconds_max = 60;
    struct flips *flips = calloc(1, sizeof *flips);
    OMEN_ASSERT(flips != NULL);
    flips->seed = (uint64_t)time(NULL) * 1000003 % 1000000000;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seed") == 0)
            flips->seed = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--damages") == 0)
            damages_max = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--seconds") == 0)
            seconds_max = strtod(argv[i + 1], NULL);
    }
    printf("flips: SEED=%llu\n", (unsigned long long)flips->seed);
    double begun = seconds_now();
    while (flips->damages < damages_max && flips->wrong == 0 &&
           seconds_now() - begun < seconds_max) {
        episode(flips, DAMAGES_A_DATABASE);
        flips->seed++;
    }
    int result = report(flips, seconds_now() - begun);
    free(flips);
    return result;
}
