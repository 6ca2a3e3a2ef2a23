/* Random requests of many sessions against a plain model of locks, in one thread.
 *
 * Each session is a coroutine; one that waits for a lock comes back here through the hook of the lock
 * table. Time is a number that this program moves. After each step the locks that are held and waited
 * for, in the order of their queues, are those of the model, and so is each request's outcome; the
 * validator runs. The model knows no shards, no marks of a search, no lists within lists: it looks
 * at everything each time.
 *
 * OMEN_SEED=n replays a run, OMEN_STEPS=n sets its length.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>

#include <cmocka.h>

#include "base/random.h"
#include "txn/txn_lock.h"

enum { SESSIONS = 7, KEYS = 4, TABLES = 2, OBJECTS = KEYS + TABLES, WISHES_MAX = 400, STACK_BYTES = 256 << 10 };

/* --- the model --- */

/* What a session holds or waits for. */
struct wish {
    int session, object, mode;
    bool granted, upgrade;
    uint64_t sequence;   /* when it was granted */
    uint64_t expires_at; /* waiting; 0: never */
};

struct model {
    struct wish wishes[WISHES_MAX]; /* of one object, those that wait are in the queue's order */
    int count;
    uint64_t sequence;
    bool circle[SESSIONS][SESSIONS];
};

/* As PostgreSQL's tables say; the unit test has them written out. */
static bool conflict(const struct wish *one, const struct wish *other)
{
    return one->object == other->object && one->session != other->session &&
           lock_modes_conflict(one->mode, other->mode);
}

static bool held_in_the_way(const struct model *model, const struct wish *wish)
{
    for (int i = 0; i < model->count; i++)
        if (model->wishes[i].granted && conflict(wish, &model->wishes[i]))
            return true;
    return false;
}

/* Whether somebody waits in the way before place `end`. */
static bool queued_in_the_way(const struct model *model, const struct wish *wish, int end)
{
    for (int i = 0; i < end; i++)
        if (!model->wishes[i].granted && conflict(wish, &model->wishes[i]))
            return true;
    return false;
}

static bool covered(const struct model *model, int session, int object, int mode)
{
    bool any = false, all = true;
    for (int other = 0; other < LOCK_MODES; other++) {
        bool kept_off = false;
        for (int i = 0; i < model->count; i++) {
            const struct wish *wish = &model->wishes[i];
            if (wish->granted && wish->session == session && wish->object == object) {
                any = true;
                kept_off = kept_off || lock_modes_conflict(wish->mode, other);
            }
        }
        all = all && (kept_off || !lock_modes_conflict(mode, other));
    }
    return any && all;
}

static bool holds(const struct model *model, int session, int object)
{
    for (int i = 0; i < model->count; i++)
        if (model->wishes[i].granted && model->wishes[i].session == session &&
            model->wishes[i].object == object)
            return true;
    return false;
}

static void model_insert(struct model *model, int place, struct wish wish)
{
    assert_true(model->count < WISHES_MAX);
    memmove(&model->wishes[place + 1], &model->wishes[place],
            (size_t)(model->count - place) * sizeof wish);
    model->wishes[place] = wish;
    model->count++;
}

static void model_remove(struct model *model, int place)
{
    model->count--;
    memmove(&model->wishes[place], &model->wishes[place + 1],
            (size_t)(model->count - place) * sizeof model->wishes[0]);
}

static int waiting_place(const struct model *model, int session)
{
    for (int i = 0; i < model->count; i++)
        if (!model->wishes[i].granted && model->wishes[i].session == session)
            return i;
    return -1;
}

static bool somebody_waits_for_himself(const struct model *model)
{
    bool reach[SESSIONS][SESSIONS] = {{false}};
    for (int i = 0; i < model->count; i++)
        for (int j = 0; j < model->count; j++)
            if (!model->wishes[i].granted && (model->wishes[j].granted || j < i) &&
                conflict(&model->wishes[i], &model->wishes[j]))
                reach[model->wishes[i].session][model->wishes[j].session] = true;
    for (int via = 0; via < SESSIONS; via++)
        for (int from = 0; from < SESSIONS; from++)
            for (int to = 0; to < SESSIONS; to++)
                if (reach[from][via] && reach[via][to])
                    reach[from][to] = true;
    for (int i = 0; i < SESSIONS; i++)
        if (reach[i][i])
            return true;
    return false;
}

/* Gives their turn to those who have it. */
static void model_grant(struct model *model)
{
    for (int i = 0; i < model->count; i++) {
        struct wish *wish = &model->wishes[i];
        if (!wish->granted && !held_in_the_way(model, wish) && !queued_in_the_way(model, wish, i)) {
            wish->granted = true;
            wish->sequence = ++model->sequence;
        }
    }
}

enum outcome { TAKEN, NOT_TAKEN, NOT_AVAILABLE, DEADLOCK, WAITS };

static enum outcome model_acquire(struct model *model, int session, int object, int mode,
                                  enum lock_wait wait, uint64_t expires_at)
{
    struct wish wish = {.session = session, .object = object, .mode = mode};
    if (covered(model, session, object, mode))
        return TAKEN;
    wish.upgrade = holds(model, session, object);
    if (!held_in_the_way(model, &wish) &&
        (wish.upgrade || !queued_in_the_way(model, &wish, model->count))) {
        wish.granted = true;
        wish.sequence = ++model->sequence;
        model_insert(model, model->count, wish);
        return TAKEN;
    }
    if (wait != LOCK_WAIT)
        return wait == LOCK_SKIP ? NOT_TAKEN : NOT_AVAILABLE;
    wish.expires_at = expires_at;
    int place = model->count;
    if (wish.upgrade) /* behind the last that is one too */
        for (place = model->count; place > 0; place--)
            if (!model->wishes[place - 1].granted && model->wishes[place - 1].object == object &&
                model->wishes[place - 1].upgrade)
                break;
    model_insert(model, place, wish);
    if (!somebody_waits_for_himself(model))
        return WAITS;
    model_remove(model, place);
    if (!held_in_the_way(model, &wish)) {
        wish.granted = true;
        wish.sequence = ++model->sequence;
        model_insert(model, 0, wish);
        return TAKEN;
    }
    model_insert(model, 0, wish);
    if (!somebody_waits_for_himself(model))
        return WAITS;
    model_remove(model, 0);
    return DEADLOCK;
}

static void model_release(struct model *model, int session, uint64_t after)
{
    for (int i = model->count - 1; i >= 0; i--)
        if (model->wishes[i].granted && model->wishes[i].session == session &&
            model->wishes[i].sequence > after)
            model_remove(model, i);
    model_grant(model);
}

/* --- sessions as coroutines --- */

struct session {
    struct lock_owner *owner;
    ucontext_t context;
    void *stack;
    struct lock_request request;
    bool asked;   /* there is a request to make */
    bool sleeping, woken, cancelled;
    bool taken;
    omen_status status;
    omen_error error;
    uint64_t mark, model_mark; /* 0: none */
};

struct run {
    struct random random;
    struct allocator allocator;
    struct lock_table *locks;
    struct session sessions[SESSIONS];
    struct model model;
    ucontext_t main;
    uint64_t now;
    int current;
    uint64_t outcomes[WAITS + 1], late[2], marks;
};

static struct run run;

static void resume(int session)
{
    run.current = session;
    swapcontext(&run.main, &run.sessions[session].context);
    run.current = -1;
}

static void sleep_here(void *context, uint64_t transaction, uint64_t ns)
{
    struct session *session = &run.sessions[run.current];
    assert_int_equal(transaction, lock_owner_transaction(session->owner));
    session->sleeping = true;
    swapcontext(&session->context, &run.main);
    session->sleeping = false;
}

static void wake(void *context, uint64_t transaction)
{
    run.sessions[transaction - 1].woken = true;
}

static uint64_t now(void *context)
{
    return run.now;
}

static const struct lock_hooks hooks = {.sleep = sleep_here, .wake = wake, .now = now};

static omen_status ask(void *context, omen_error *error)
{
    struct session *session = context;
    return session->cancelled ? error_set_default(error, OMEN_CANCELLED) : OMEN_OK;
}

static void live(void)
{
    struct session *session = &run.sessions[run.current];
    for (;;) {
        if (session->asked) {
            session->status =
                lock_acquire(session->owner, &session->request, &session->taken, &session->error);
            session->asked = false;
        }
        swapcontext(&session->context, &run.main);
    }
}

/* --- the comparison --- */

static struct lock_target target_of(int object)
{
    if (object >= KEYS)
        return lock_target_table((uint64_t)object);
    return lock_target_key(KEYS, 0, index_key_word((uint64_t)object));
}

static int object_of(const struct lock_target *target)
{
    return target->has_key ? (int)target->key.word : (int)target->table;
}

/* How many the model's lock waits for, as a list shows it. */
static size_t model_waits_for(int place)
{
    size_t count = 0;
    for (int i = 0; i < run.model.count && !run.model.wishes[place].granted; i++)
        count += (run.model.wishes[i].granted || i < place) &&
                 conflict(&run.model.wishes[place], &run.model.wishes[i]);
    return count;
}

static void compare(void)
{
    struct lock_list list;
    assert_true(lock_table_is_valid(run.locks));
    assert_int_equal(lock_list_take(run.locks, &run.allocator, &list), OMEN_OK);
    assert_int_equal(list.count, run.model.count);
    bool matched[WISHES_MAX] = {false};
    bool blocking = false;
    for (size_t i = 0; i < list.count; i++) {
        const struct lock_info *info = &list.locks[i];
        int place = 0; /* the first not matched: keeps the queue's order */
        while (place < run.model.count &&
               (matched[place] || run.model.wishes[place].object != object_of(&info->target) ||
                run.model.wishes[place].granted != info->granted ||
                (info->granted && (run.model.wishes[place].mode != (int)info->mode ||
                                   run.model.wishes[place].session + 1 != (int)info->transaction))))
            place++;
        assert_true(place < run.model.count);
        matched[place] = true;
        assert_int_equal(run.model.wishes[place].mode, info->mode);
        assert_int_equal(run.model.wishes[place].session + 1, info->transaction);
        assert_int_equal(model_waits_for(place), info->waits_for_count);
        blocking = blocking || (info->granted && (info->mode <= ROW_LOCK_UPDATE ||
                                                  info->mode >= TABLE_LOCK_SHARE));
    }
    assert_int_equal(lock_any_held(run.locks), blocking);
    lock_list_release(&list);
}

/* Lets those go on whom the model has given what they wait for. */
static void settle(void)
{
    bool more = true;
    while (more) {
        more = false;
        for (int i = 0; i < SESSIONS; i++) {
            struct session *session = &run.sessions[i];
            if (!session->sleeping || !session->woken)
                continue;
            session->woken = false;
            assert_int_equal(waiting_place(&run.model, i), -1);
            resume(i);
            assert_false(session->asked);
            assert_int_equal(session->status, OMEN_OK);
            assert_true(session->taken);
            more = true;
        }
    }
    for (int i = 0; i < SESSIONS; i++)
        assert_int_equal(run.sessions[i].sleeping, waiting_place(&run.model, i) >= 0);
}

/* --- steps --- */

static void step_acquire(int number)
{
    struct session *session = &run.sessions[number];
    int object = (int)random_below(&run.random, OBJECTS);
    int mode =
        object < KEYS ? (int)random_below(&run.random, 4) : 4 + (int)random_below(&run.random, 8);
    uint64_t kind = random_below(&run.random, 10);
    enum lock_wait wait = kind == 0 ? LOCK_NOWAIT : kind == 1 ? LOCK_SKIP : LOCK_WAIT;
    uint64_t timeout = kind == 2 ? 1 + random_below(&run.random, 50) : 0;
    static struct txn_patience patience[SESSIONS];
    patience[number] = (struct txn_patience){.ask = ask, .context = session};
    session->request = (struct lock_request){.target = target_of(object),
                                             .mode = mode,
                                             .wait = wait,
                                             .relation = "t",
                                             .timeout_ns = timeout,
                                             .patience = &patience[number]};
    session->asked = true;
    session->cancelled = session->woken = false;
    enum outcome expected = model_acquire(&run.model, number, object, mode, wait,
                                          timeout != 0 ? run.now + timeout : 0);
    run.outcomes[expected]++;
    resume(number);
    assert_int_equal(session->sleeping, expected == WAITS);
    if (expected == WAITS)
        return;
    assert_int_equal(session->taken, expected == TAKEN);
    assert_int_equal(session->status, expected == DEADLOCK        ? OMEN_DEADLOCK_DETECTED
                                      : expected == NOT_AVAILABLE ? OMEN_LOCK_NOT_AVAILABLE
                                                                  : OMEN_OK);
    if (expected == DEADLOCK)
        assert_true(strlen(omen_error_hint(&session->error)) > 20);
}

static void step_release(int number)
{
    struct session *session = &run.sessions[number];
    uint64_t kind = random_below(&run.random, 5);
    if (kind == 0) {
        session->mark = lock_mark(session->owner);
        session->model_mark = ++run.model.sequence;
        return;
    }
    if (kind < 3 && session->model_mark != 0) {
        run.marks++;
        model_release(&run.model, number, session->model_mark);
        lock_release_to(session->owner, session->mark);
    } else {
        model_release(&run.model, number, 0);
        lock_release_all(session->owner);
        session->model_mark = 0;
    }
}

/* One that waits is asked, and gives up if it has been told to or its time is over. */
static void step_ask(int number)
{
    struct session *session = &run.sessions[number];
    int place = waiting_place(&run.model, number);
    uint64_t expires_at = run.model.wishes[place].expires_at;
    bool late = expires_at != 0 && run.now >= expires_at;
    session->cancelled = random_below(&run.random, 8) == 0;
    if (late || session->cancelled) {
        model_remove(&run.model, place);
        model_grant(&run.model);
    }
    resume(number);
    assert_int_equal(session->sleeping, !late && !session->cancelled);
    if (session->sleeping)
        return;
    run.late[session->cancelled]++;
    assert_int_equal(session->status,
                     session->cancelled ? OMEN_CANCELLED : OMEN_LOCK_NOT_AVAILABLE);
    assert_false(session->taken);
}

static void open_run(uint64_t seed)
{
    memset(&run, 0, sizeof run);
    run.random = random_seeded(seed);
    run.now = 1;
    allocator_init(&run.allocator, 0);
    assert_int_equal(lock_table_create(&run.allocator, 0, &run.locks), OMEN_OK);
    lock_table_set_hooks(run.locks, &hooks);
    for (int i = 0; i < SESSIONS; i++) {
        struct session *session = &run.sessions[i];
        assert_int_equal(lock_owner_create(run.locks, (uint64_t)i + 1, &session->owner), OMEN_OK);
        session->stack = malloc(STACK_BYTES);
        assert_non_null(session->stack);
        getcontext(&session->context);
        session->context.uc_stack.ss_sp = session->stack;
        session->context.uc_stack.ss_size = STACK_BYTES;
        makecontext(&session->context, live, 0);
    }
}

static void close_run(void)
{
    for (bool waiting = true; waiting;) {
        waiting = false;
        for (int i = 0; i < SESSIONS; i++) {
            if (run.sessions[i].sleeping) {
                waiting = true;
                continue;
            }
            model_release(&run.model, i, 0);
            lock_release_all(run.sessions[i].owner);
        }
        settle();
        compare();
    }
    for (int i = 0; i < SESSIONS; i++) {
        lock_owner_destroy(run.sessions[i].owner);
        free(run.sessions[i].stack);
    }
    lock_table_destroy(run.locks);
    assert_int_equal(run.allocator.bytes_used, 0);
}

static void test_random_against_the_model(void **state)
{
    const char *seed_text = getenv("OMEN_SEED"), *steps_text = getenv("OMEN_STEPS");
    uint64_t seed = seed_text != NULL ? strtoull(seed_text, NULL, 10) : (uint64_t)time(NULL);
    uint64_t steps = steps_text != NULL ? strtoull(steps_text, NULL, 10) : 200000;
    printf("OMEN_SEED=%llu\n", (unsigned long long)seed);
    open_run(seed);
    for (uint64_t step = 0; step < steps; step++) {
        int number = (int)random_below(&run.random, SESSIONS);
        run.now += random_below(&run.random, 3);
        if (run.sessions[number].sleeping)
            step_ask(number);
        else if (random_below(&run.random, 5) == 0 || run.model.count > WISHES_MAX / 2)
            step_release(number);
        else
            step_acquire(number);
        settle();
        compare();
    }
    close_run();
    printf("taken %llu, skipped %llu, refused %llu, deadlocks %llu, waited %llu, late %llu, "
           "cancelled %llu, marks %llu\n",
           (unsigned long long)run.outcomes[TAKEN], (unsigned long long)run.outcomes[NOT_TAKEN],
           (unsigned long long)run.outcomes[NOT_AVAILABLE],
           (unsigned long long)run.outcomes[DEADLOCK], (unsigned long long)run.outcomes[WAITS],
           (unsigned long long)run.late[0], (unsigned long long)run.late[1],
           (unsigned long long)run.marks);
    for (int i = 0; i <= WAITS; i++)
        assert_true(run.outcomes[i] > 0);
    assert_true(run.late[0] > 0 && run.late[1] > 0 && run.marks > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_against_the_model)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
