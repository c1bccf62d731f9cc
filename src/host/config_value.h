#ifndef FINBACK_SRC_HOST_CONFIG_VALUE_H
#define FINBACK_SRC_HOST_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The values that the configuration writes as text: durations, sizes, file modes, names; and how
 * far one word is from another, for suggestions. Pure: no file, no memory, no libconfig.
 */

#define CONFIG_DURATION_MAX_US (INT64_C(3650) * 24 * 3600 * 1000000) /* ten years */
#define CONFIG_SIZE_MAX        (INT64_C(1) << 50)
#define CONFIG_NAME_MAX        64

/* What is right, as part of a sentence. */
#define CONFIG_DURATION_HINT "a number with us, ms, s, m, h or d, such as \"30s\"; \"0\" for none"
#define CONFIG_SIZE_HINT     "bytes as an integer, or a string such as \"64KiB\" or \"1MiB\""
#define CONFIG_NAME_HINT     "1 to 64 of the characters A-Z a-z 0-9 _ . -"

/* "50us", "500ms", "30s", "5m", "1h", "1d", or "0". Returns 0; -EINVAL when it is no duration;
 * -ERANGE when it is over CONFIG_DURATION_MAX_US. */
int config_parse_duration(const char *text, int64_t *ret_us);

/* "64KiB", "1MiB", "1GiB". Returns 0; -EINVAL; -ERANGE when it is over CONFIG_SIZE_MAX. */
int config_parse_size(const char *text, int64_t *ret_bytes);

/* A file mode in octal digits, "0" to "0777". Returns 0 or -EINVAL. */
int config_parse_mode(const char *text, unsigned *ret_mode);

/* Writes a duration or a size in its largest whole unit: "5m", "64KiB". Returns `text`. */
char *config_format_duration(int64_t us, char *text, size_t size);
char *config_format_size(int64_t bytes, char *text, size_t size);
#define CONFIG_VALUE_TEXT_MAX 32

/* Whether it can name a pool, a listener or a server. */
bool config_is_name(const char *text);

/* How many letters to change, add, drop or swap with their neighbour to make one word the other
 * (Damerau-Levenshtein, each letter moved once). Words over CONFIG_NAME_MAX are far from all. */
unsigned config_distance(const char *a, const char *b);
#define CONFIG_DISTANCE_FAR 1000u

/* Whether `distance` is near enough for `word` to be a slip of the pen. */
bool config_is_near(const char *word, unsigned distance);

#endif
