/*
 * Rows of `top`.
 *
 * A rate is taken between two ages of the session itself, so that neither a slow answer nor a page
 * that came late makes it wrong. An id that another session had in a process before this one is
 * told by an age or by bytes that went back.
 */
#include "top_rows.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "field.h"
#include "rows.h"
#include "totals.h"
#include "words.h"

static void copy_text(char to[TOP_TEXT_MAX], const char *text)
{
	(void)snprintf(to, TOP_TEXT_MAX, "%s", text ? text : "-");
	words_one_line(to);
}

static void read_row(struct top_row *row, const json_t *session)
{
	row->id = field_count(session, "id");
	row->state = totals_state(field_text(session, "state"));
	copy_text(row->client, field_text(session, "client.address"));
	copy_text(row->server, row_server(session));
	copy_text(row->deadline, field_text(session, "ending_in.deadline"));
	row->age_s = field_number(session, "age_s", -1);
	row->idle_s = field_number(session, "idle_s", -1);
	row->ends_in_s = field_number(session, "ending_in.in_s", INFINITY);
	row->bytes[CLIENT] = field_count(session, "client.bytes");
	row->bytes[SERVER] = field_count(session, "server.bytes");
	row->rates[CLIENT] = TOP_RATE_NONE;
	row->rates[SERVER] = TOP_RATE_NONE;
}

void top_rows_add(struct top_rows *rows, const json_t *sessions)
{
	for (size_t i = 0; i < json_array_size(sessions) && rows->count < TOP_ROWS_MAX; i++) {
		if (rows->count == rows->room) {
			rows->room = rows->room ? 2 * rows->room : 256;
			rows->rows =
				ctl_need(reallocarray(rows->rows, rows->room, sizeof *rows->rows));
		}
		read_row(&rows->rows[rows->count++], json_array_get(sessions, i));
	}
}

#define RATE_LEAST_S 0.05 /* a rate over less is noise: the one before stays */

/* Where the row of an id is. */
struct place {
	uint64_t id;
	const struct top_row *row;
};

static int by_id(const void *a, const void *b)
{
	const struct place *place_a = a, *place_b = b;

	return (place_a->id > place_b->id) - (place_a->id < place_b->id);
}

static void rate(struct top_row *row, const struct top_row *before)
{
	double elapsed = row->age_s - before->age_s;

	if (elapsed >= 0 && elapsed < RATE_LEAST_S) {
		memcpy(row->rates, before->rates, sizeof row->rates);
		return;
	}
	if (!(elapsed > 0) || row->bytes[CLIENT] < before->bytes[CLIENT] ||
	    row->bytes[SERVER] < before->bytes[SERVER])
		return;
	for (int side = 0; side < SIDES; side++)
		row->rates[side] = (double)(row->bytes[side] - before->bytes[side]) / elapsed;
}

void top_rows_rate(struct top_rows *rows, const struct top_rows *before)
{
	struct place *places;

	if (before->count == 0)
		return;
	places = ctl_need(reallocarray(NULL, before->count, sizeof *places));
	for (size_t i = 0; i < before->count; i++)
		places[i] = (struct place){ before->rows[i].id, &before->rows[i] };
	qsort(places, before->count, sizeof *places, by_id);
	for (size_t i = 0; i < rows->count; i++) {
		struct place wanted = { .id = rows->rows[i].id };
		const struct place *found =
			bsearch(&wanted, places, before->count, sizeof *places, by_id);

		if (found)
			rate(&rows->rows[i], found->row);
	}
	free(places);
}

/* How far up a row belongs. */
typedef double measure(const struct top_row *row);

static double measure_rate(const struct top_row *row)
{
	return row->rates[CLIENT] + row->rates[SERVER];
}

static double measure_bytes(const struct top_row *row)
{
	return (double)row->bytes[CLIENT] + (double)row->bytes[SERVER];
}

static double measure_age(const struct top_row *row)
{
	return row->age_s;
}

static double measure_idle(const struct top_row *row)
{
	return row->idle_s;
}

static double measure_deadline(const struct top_row *row)
{
	return -row->ends_in_s;
}

static measure *const measures[] = {
	[TOP_BY_RATE] = measure_rate,         [TOP_BY_BYTES] = measure_bytes,
	[TOP_BY_AGE] = measure_age,           [TOP_BY_IDLE] = measure_idle,
	[TOP_BY_DEADLINE] = measure_deadline,
};
static_assert(sizeof measures / sizeof *measures == TOP_ORDERS, "a measure for each order");

/* Rows that measure the same keep an order of their own, so that they do not jump about. */
static int by_measure(const void *a, const void *b, void *user)
{
	const struct top_row *row_a = a, *row_b = b;
	measure *const *measured = user;
	double value_a = (*measured)(row_a), value_b = (*measured)(row_b);

	if (value_a != value_b)
		return value_a > value_b ? -1 : 1;
	return (row_a->id > row_b->id) - (row_a->id < row_b->id);
}

void top_rows_sort(struct top_rows *rows, enum top_order order)
{
	measure *measured = measures[order];

	if (rows->count > 0)
		qsort_r(rows->rows, rows->count, sizeof *rows->rows, by_measure, &measured);
}

size_t top_rows_find(const struct top_rows *rows, uint64_t id)
{
	size_t i = 0;

	while (i < rows->count && rows->rows[i].id != id)
		i++;
	return i;
}

void top_rows_fini(struct top_rows *rows)
{
	free(rows->rows);
	*rows = (struct top_rows){ 0 };
}
