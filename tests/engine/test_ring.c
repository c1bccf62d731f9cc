/* The ring: order and bounds at its edges, and long random runs against a plain queue. */
#include <finback/engine/ring.h>

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
/* clang-format on */

#define GUARD 0xa5

/* A ring whose storage ends where the allocation does, with `capacity` bytes. */
static struct ring *make_ring(size_t capacity)
{
	void *storage = malloc(RING_OVERHEAD + capacity);
	assert_non_null(storage);
	memset(storage, GUARD, RING_OVERHEAD + capacity);
	return ring_init(storage, capacity);
}

static size_t total(const struct ring_view *views, int count)
{
	size_t sum = 0;
	for (int i = 0; i < count; i++) {
		assert_true(views[i].length > 0);
		sum += views[i].length;
	}
	return sum;
}

/* Both kinds of views add up, and each lies inside the ring's bytes. */
static void check_views(struct ring *ring)
{
	struct ring_view views[2];
	const unsigned char *end = ring->bytes + ring->capacity;

	int filled = ring_filled(ring, views);
	assert_in_range(filled, 0, 2);
	assert_int_equal(total(views, filled), ring->used);
	for (int i = 0; i < filled; i++)
		assert_true(views[i].at >= ring->bytes && views[i].at + views[i].length <= end);

	int spare = ring_free(ring, views);
	assert_in_range(spare, 0, 2);
	assert_int_equal(total(views, spare), ring_room(ring));
	for (int i = 0; i < spare; i++)
		assert_true(views[i].at >= ring->bytes && views[i].at + views[i].length <= end);
	assert_int_equal(ring->used + ring_room(ring), ring->capacity);
}

static size_t copy_out(struct ring *ring, unsigned char *to)
{
	struct ring_view views[2];
	int count = ring_filled(ring, views);
	size_t length = 0;
	for (int i = 0; i < count; i++) {
		memcpy(to + length, views[i].at, views[i].length);
		length += views[i].length;
	}
	return length;
}

static void a_new_ring_is_empty(void **state)
{
	(void)state;
	struct ring *ring = make_ring(8);
	struct ring_view views[2];
	assert_int_equal(ring->used, 0);
	assert_int_equal(ring_room(ring), 8);
	assert_int_equal(ring_filled(ring, views), 0);
	assert_int_equal(ring_free(ring, views), 1);
	assert_ptr_equal(views[0].at, ring->bytes);
	assert_int_equal(views[0].length, 8);
	free(ring);
}

static void a_full_ring_has_no_room(void **state)
{
	(void)state;
	struct ring *ring = make_ring(4);
	struct ring_view views[2];
	ring_put(ring, "abcd", 4);
	assert_int_equal(ring_room(ring), 0);
	assert_int_equal(ring_free(ring, views), 0);
	assert_int_equal(ring_filled(ring, views), 1);
	assert_memory_equal(views[0].at, "abcd", 4);
	ring_put(ring, "", 0);
	assert_int_equal(ring->used, 4);
	free(ring);
}

static void bytes_that_go_round_are_two_views_in_order(void **state)
{
	(void)state;
	struct ring *ring = make_ring(4);
	struct ring_view views[2];
	ring_put(ring, "abc", 3);
	ring_consumed(ring, 2);
	assert_int_equal(ring_free(ring, views), 2);
	ring_put(ring, "def", 3);
	assert_int_equal(ring_filled(ring, views), 2);
	assert_int_equal(views[0].length, 2);
	assert_memory_equal(views[0].at, "cd", 2);
	assert_int_equal(views[1].length, 2);
	assert_memory_equal(views[1].at, "ef", 2);
	ring_consumed(ring, 2);
	assert_int_equal(ring_filled(ring, views), 1);
	assert_memory_equal(views[0].at, "ef", 2);
	free(ring);
}

/* Data that ends exactly at the end of the storage leaves the free space in one piece at its
 * front. */
static void ending_at_the_edge_makes_one_view(void **state)
{
	(void)state;
	struct ring *ring = make_ring(4);
	struct ring_view views[2];
	ring_put(ring, "abcd", 4);
	ring_consumed(ring, 1);
	assert_int_equal(ring_filled(ring, views), 1);
	assert_int_equal(ring_free(ring, views), 1);
	assert_ptr_equal(views[0].at, ring->bytes);
	assert_int_equal(views[0].length, 1);
	free(ring);
}

static void an_emptied_ring_starts_at_the_front(void **state)
{
	(void)state;
	struct ring *ring = make_ring(8);
	struct ring_view views[2];
	ring_put(ring, "abcde", 5);
	ring_consumed(ring, 3);
	ring_consumed(ring, 2);
	assert_int_equal(ring_free(ring, views), 1);
	assert_int_equal(views[0].length, 8);
	free(ring);
}

static void what_is_written_into_free_views_counts_once_produced(void **state)
{
	(void)state;
	struct ring *ring = make_ring(4);
	struct ring_view views[2];
	unsigned char out[4];
	ring_put(ring, "xyz", 3);
	ring_consumed(ring, 2);
	assert_int_equal(ring_free(ring, views), 2);
	memcpy(views[0].at, "1", 1);
	memcpy(views[1].at, "2", 1);
	assert_int_equal(copy_out(ring, out), 1);
	ring_produced(ring, 2);
	assert_int_equal(copy_out(ring, out), 3);
	assert_memory_equal(out, "z12", 3);
	free(ring);
}

static void a_ring_without_capacity_holds_nothing(void **state)
{
	(void)state;
	struct ring *ring = make_ring(0);
	struct ring_view views[2];
	assert_int_equal(ring_room(ring), 0);
	assert_int_equal(ring_free(ring, views), 0);
	assert_int_equal(ring_filled(ring, views), 0);
	ring_put(ring, "", 0);
	ring_produced(ring, 0);
	ring_consumed(ring, 0);
	assert_int_equal(ring->used, 0);
	free(ring);
}

/* The model: a queue so plain that it is right at sight. */
#define MODEL_MAX 64

struct model {
	unsigned char bytes[MODEL_MAX];
	size_t used;
};

static void model_put(struct model *model, const unsigned char *bytes, size_t length)
{
	memcpy(model->bytes + model->used, bytes, length);
	model->used += length;
}

static void model_drop(struct model *model, size_t length)
{
	model->used -= length;
	memmove(model->bytes, model->bytes + length, model->used);
}

static uint64_t random_next(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random >> 16;
}

static void produce_through_views(struct ring *ring, const unsigned char *bytes, size_t length)
{
	struct ring_view views[2];
	int count = ring_free(ring, views);
	size_t done = 0;
	for (int i = 0; i < count && done < length; i++) {
		size_t part = length - done < views[i].length ? length - done : views[i].length;
		memcpy(views[i].at, bytes + done, part);
		done += part;
	}
	ring_produced(ring, length);
}

static void one_random_step(struct ring *ring, struct model *model, uint64_t *random)
{
	unsigned char bytes[MODEL_MAX];
	size_t length = random_next(random) % (ring_room(ring) + 1);

	for (size_t i = 0; i < length; i++)
		bytes[i] = (unsigned char)random_next(random);
	switch (random_next(random) % 3) {
	case 0:
		ring_put(ring, bytes, length);
		model_put(model, bytes, length);
		break;
	case 1:
		produce_through_views(ring, bytes, length);
		model_put(model, bytes, length);
		break;
	default:
		length = random_next(random) % (ring->used + 1);
		ring_consumed(ring, length);
		model_drop(model, length);
	}
}

static void random_runs_match_a_plain_queue(void **state)
{
	(void)state;
	uint64_t seed = (uint64_t)time(NULL) * 2654435761u | 1;
	uint64_t random = seed;
	print_message("seed %llu\n", (unsigned long long)seed);

	for (size_t capacity = 1; capacity <= MODEL_MAX; capacity++) {
		struct ring *ring = make_ring(capacity);
		struct model model = { .used = 0 };
		for (int step = 0; step < 2000; step++) {
			unsigned char out[MODEL_MAX];
			one_random_step(ring, &model, &random);
			check_views(ring);
			assert_int_equal(copy_out(ring, out), model.used);
			assert_memory_equal(out, model.bytes, model.used);
		}
		free(ring);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_ring_is_empty),
		cmocka_unit_test(a_full_ring_has_no_room),
		cmocka_unit_test(bytes_that_go_round_are_two_views_in_order),
		cmocka_unit_test(ending_at_the_edge_makes_one_view),
		cmocka_unit_test(an_emptied_ring_starts_at_the_front),
		cmocka_unit_test(what_is_written_into_free_views_counts_once_produced),
		cmocka_unit_test(a_ring_without_capacity_holds_nothing),
		cmocka_unit_test(random_runs_match_a_plain_queue),
	};
	return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
