/*
 * Sentences from pieces, and the words for numbers.
 *
 * Invariant: numbers are rounded down, so that no duration and no size is more than there is.
 */
#include "sentence.h"

#include <string.h>

#define SECOND_US INT64_C(1000000)
#define MINUTE_S  60
#define HOUR_S    (60 * MINUTE_S)
#define DAY_S     (24 * HOUR_S)

/* Cuts what does not fit; the callers' words do. */
static void join(struct words *words, const char *more)
{
	size_t used = strlen(words->text);
	size_t length = strnlen(more, sizeof words->text - 1 - used);

	memcpy(words->text + used, more, length);
	words->text[used + length] = '\0';
}

void sentence_say(struct sentence *sentence, const char *const *pieces)
{
	for (; *pieces; pieces++) {
		size_t length = strnlen(*pieces, sentence->size - 1 - sentence->used);

		memcpy(sentence->text + sentence->used, *pieces, length);
		sentence->used += length;
	}
	sentence->text[sentence->used] = '\0';
}

struct words words_number(uint64_t value)
{
	char digits[24];
	size_t count = 0;
	struct words words = { "" };

	do
		digits[count++] = (char)('0' + value % 10);
	while ((value /= 10) > 0);
	for (size_t i = 0; i < count; i++)
		words.text[i] = digits[count - 1 - i];
	return words;
}

/* "3 h 12 min"; "3 h" where nothing is left. */
static struct words in_units(uint64_t seconds, unsigned large, const char *large_name,
			     unsigned small, const char *small_name)
{
	struct words words = words_number(seconds / large);
	uint64_t rest = seconds % large / small;

	join(&words, large_name);
	if (rest > 0) {
		join(&words, " ");
		join(&words, words_number(rest).text);
		join(&words, small_name);
	}
	return words;
}

/* A value in tenths of a unit: "1.2 MiB", "3 s". A decimal only below 10. */
static struct words in_tenths(uint64_t tenths, const char *unit)
{
	struct words words = words_number(tenths / 10);

	if (tenths < 100 && tenths % 10 > 0) {
		join(&words, ".");
		join(&words, words_number(tenths % 10).text);
	}
	join(&words, unit);
	return words;
}

struct words words_duration(int64_t us)
{
	uint64_t seconds = us > 0 ? (uint64_t)(us / SECOND_US) : 0;

	if (us < SECOND_US / 10)
		return (struct words){ "under 0.1 s" };
	if (seconds < MINUTE_S)
		return in_tenths((uint64_t)us * 10 / SECOND_US, " s");
	if (seconds < HOUR_S)
		return in_units(seconds, MINUTE_S, " min", 1, " s");
	if (seconds < DAY_S)
		return in_units(seconds, HOUR_S, " h", MINUTE_S, " min");
	return in_units(seconds, DAY_S, " d", HOUR_S, " h");
}

struct words words_size(uint64_t bytes)
{
	static const char *const units[] = { " KiB", " MiB", " GiB", " TiB", " PiB", " EiB" };
	unsigned unit = 0;
	unsigned bits = 10;
	struct words words = words_number(bytes);

	if (bytes < 1024) {
		join(&words, bytes == 1 ? " byte" : " bytes");
		return words;
	}
	while (bits < 60 && bytes >> bits >= 1024) {
		bits += 10;
		unit++;
	}
	return in_tenths((bytes >> bits) * 10 + ((bytes % (UINT64_C(1) << bits)) * 10 >> bits),
			 units[unit]);
}

struct words words_unanswered(unsigned count, const char *thing)
{
	struct words words = words_number(count);

	join(&words, " ");
	join(&words, thing);
	join(&words, count == 1 ? " unanswered" : "s unanswered");
	return words;
}

struct words words_name(const char *name)
{
	struct words words = { "" };
	size_t length = strlen(name);

	if (length > WORDS_NAME_MAX) {
		length = WORDS_NAME_MAX - 3;
		while (length > 0 && ((unsigned char)name[length] & 0xc0) == 0x80)
			length--;
		memcpy(words.text + length, "...", 3);
	}
	memcpy(words.text, name, length);
	return words;
}
