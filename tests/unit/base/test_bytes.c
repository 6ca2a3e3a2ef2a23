/* test_bytes.c - what is written is read back; nothing is read past the end; sums are XXH3's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/checksum.h"

static void write_sample(struct byte_writer *writer)
{
    byte_writer_u8(writer, 0xFE);
    byte_writer_u16(writer, 0x1234);
    byte_writer_u32(writer, 0x89ABCDEF);
    byte_writer_u64(writer, UINT64_C(0x0123456789ABCDEF));
    byte_writer_text(writer, "omen", 4);
    byte_writer_text(writer, NULL, 0);
}

static void test_round_trip(void **state)
{
    struct allocator allocator;
    allocator_init(&allocator, 0);
    struct byte_writer writer = {.allocator = &allocator};
    for (int i = 0; i < 100; i++)
        write_sample(&writer);
    assert_false(writer.failed);
    assert_int_equal(writer.length, 100 * (1 + 2 + 4 + 8 + 8 + 4));
    assert_memory_equal(writer.data, "\xFE\x34\x12\xEF\xCD\xAB\x89\xEF\xCD\xAB\x89\x67\x45\x23\x01", 15);
    struct byte_reader reader = {.data = writer.data, .length = writer.length};
    for (int i = 0; i < 100; i++) {
        size_t length;
        assert_int_equal(byte_reader_u8(&reader), 0xFE);
        assert_int_equal(byte_reader_u16(&reader), 0x1234);
        assert_int_equal(byte_reader_u32(&reader), 0x89ABCDEF);
        assert_int_equal(byte_reader_u64(&reader), UINT64_C(0x0123456789ABCDEF));
        assert_memory_equal(byte_reader_text(&reader, &length), "omen", 4);
        assert_int_equal(length, 4);
        (void)byte_reader_text(&reader, &length);
        assert_int_equal(length, 0);
    }
    assert_false(reader.failed);
    assert_int_equal(reader.length, 0);
    byte_writer_release(&writer);
    assert_int_equal(allocator.bytes_used, 0);
}

/* A length that lies makes the reader fail, for good. */
static void test_reader_stays_inside(void **state)
{
    const uint8_t lie[] = {0xFF, 0xFF, 0xFF, 0xFF, 'a', 'b', 'c', 'd'};
    struct byte_reader reader = {.data = lie, .length = sizeof lie};
    size_t length;
    assert_null(byte_reader_text(&reader, &length));
    assert_int_equal(length, 0);
    assert_true(reader.failed);
    assert_int_equal(byte_reader_u8(&reader), 0);
    for (size_t cut = 0; cut < 8; cut++) {
        reader = (struct byte_reader){.data = lie, .length = cut};
        assert_int_equal(byte_reader_u64(&reader), 0);
        assert_true(reader.failed);
    }
}

static void test_writer_out_of_memory(void **state)
{
    struct allocator allocator;
    allocator_init(&allocator, 0);
    struct byte_writer writer = {.allocator = &allocator};
    write_sample(&writer);
    allocator_fail_at(&allocator, 1, 1);
    for (int i = 0; i < 100; i++)
        write_sample(&writer);
    assert_true(writer.failed);
    allocator_fail_at(&allocator, 0, 0);
    write_sample(&writer);
    assert_true(writer.failed);
    byte_writer_release(&writer);
    assert_int_equal(allocator.bytes_used, 0);
}

/* Values of the reference implementation: files of other builds must stay readable. */
static void test_checksum_values(void **state)
{
    uint8_t data[1024];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7 + i / 256);
    assert_true(checksum64("", 0, 0) == UINT64_C(0x2D06800538D394C2));
    assert_true(checksum64(data, sizeof data, 0) != checksum64(data, sizeof data, 1));
    uint64_t whole = checksum64(data, sizeof data, 0);
    data[1000] ^= 1;
    assert_true(checksum64(data, sizeof data, 0) != whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_reader_stays_inside),
        cmocka_unit_test(test_writer_out_of_memory),
        cmocka_unit_test(test_checksum_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
