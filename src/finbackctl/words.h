#ifndef FINBACK_SRC_FINBACKCTL_WORDS_H
#define FINBACK_SRC_FINBACKCTL_WORDS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Values as people read them, and text as a terminal shows it: how wide it is, what may go out to
 * it, where to cut it. Lengths of text are bytes, widths are terminal columns. Pure but for the
 * locale.
 */

#define WORDS_MAX 32

/* What stands where there is no value: "-". Returns `text`. */
char *words_none(char text[WORDS_MAX]);

/* Seconds in at most two units and six columns: "0.4s", "42s", "4m19s", "3h12m", "12d3h", "123d".
 * What is no number of seconds is "-". Returns `text`. */
char *words_duration(double seconds, char text[WORDS_MAX]);

/* Bytes in at most four columns, in units of 1024: "0", "999", "1.2K", "33M". Returns `text`. */
char *words_size(double bytes, char text[WORDS_MAX]);

/* How often a second something happens: "0", "0.3", "12", "1200". Returns `text`. */
char *words_rate(double per_second, char text[WORDS_MAX]);

/* A wall-clock time as the daemon writes it (RFC 3339, UTC) without its fraction: "2026-11-22
 * 21:38:18 UTC"; "-" for NULL or what does not look like one. Returns `text`. */
char *words_time(const char *rfc3339, char text[WORDS_MAX]);

/* Reads a duration as the configuration has it: a number with us, ms, s, m, h or d; or 0. Returns 0
 * with the seconds; -EINVAL when it is none, -ERANGE over ten years. */
int words_parse_duration(const char *text, double *ret_seconds);
#define WORDS_DURATION_HINT "a number with us, ms, s, m, h or d, such as \"30s\""

/* Replaces with '?' whatever is not printable in this locale: control characters, escape sequences
 * with them, broken encodings, characters without a width. In place. Returns `text`. */
char *words_clean(char *text);

/* As words_clean, but line ends and tabs become blanks: for text that must stay one line. */
char *words_one_line(char *text);

/* Columns of a clean text. */
int words_width(const char *text);

/* How many bytes of a clean text fit into `width` columns. */
size_t words_fitting(const char *text, int width);

/* Cuts a clean text to `width` columns, in place, by putting one ellipsis for its middle: the ends
 * of an address tell it from others. Returns `text`. */
char *words_cut_middle(char *text, int width);

/* Where to break the line: how many bytes of a clean text go on a line of `width` columns, by whole
 * words where they fit. `*ret_next` is where the next line starts. */
size_t words_line(const char *text, int width, size_t *ret_next);

#endif
