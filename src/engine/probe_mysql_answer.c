/*
 * Answers of MySQL and MariaDB servers, packet by packet: "Command Phase" in MySQL's source
 * documentation, "Server Response Packets" in MariaDB's.
 *
 * Invariant: an answer is over with the packet that says so in every shape that was agreed on: an
 * error, an OK or EOF without SERVER_MORE_RESULTS_EXISTS, the last definition of a statement.
 *
 * Surprising: an error with number 0xffff is none, but a progress report, and 0xfe is an EOF, an OK
 * or the first byte of a row, by the size of its packet and what was agreed on.
 */
#include "probe_mysql_answer.h"

#include <string.h>

#define OK       0x00U
#define INFILE   0xfbU
#define END      0xfeU /* EOF, or an OK in its place */
#define ERR      0xffU
#define PROGRESS 0xffffU /* as an error's number */

#define SERVER_MORE_RESULTS_EXISTS  0x0008U
#define SERVER_STATUS_CURSOR_EXISTS 0x0040U

#define EOF_SIZE      5  /* its mark, warnings, status */
#define PREPARED_SIZE 12 /* its mark, identifier, columns, parameters, a zero, warnings */

/* What comes next of an answer. */
enum step {
	FIRST,
	PARAMS,
	PARAMS_END,
	STATEMENT_COLUMNS,
	STATEMENT_COLUMNS_END,
	COLUMNS,
	COLUMNS_END,
	ROWS
};

static unsigned little_endian(const unsigned char *bytes)
{
	return bytes[0] | (unsigned)bytes[1] << 8;
}

/* The size of the length-encoded integer that begins so; 0: none does. */
static size_t encoded_size(unsigned char byte)
{
	switch (byte) {
	case 0xfb:
	case 0xff:
		return 0;
	case 0xfc:
		return 3;
	case 0xfd:
		return 4;
	case 0xfe:
		return 9;
	default:
		return 1;
	}
}

bool mysql_packet_is_ok(const struct mysql_packet *packet, unsigned *ret_status)
{
	size_t at = 1;

	/* Affected rows, last inserted identifier; then status and warnings. At most 23 bytes. */
	for (unsigned i = 0; i < 2; i++) {
		size_t size = at < packet->size ? encoded_size(packet->kept[at]) : 0;

		if (size == 0)
			return false;
		at += size;
	}
	if (packet->size < at + 4)
		return false;
	*ret_status = little_endian(packet->kept + at);
	return true;
}

static bool is_eof(const struct mysql_packet *packet)
{
	return packet->kept[0] == END && packet->size == EOF_SIZE;
}

/* Whether the packet ends rows or definitions, in the form that was agreed on. */
static bool is_end(const struct mysql_answer *answer, const struct mysql_packet *packet,
		   unsigned *ret_status)
{
	if (packet->kept[0] != END)
		return false;
	if (answer->without_eof)
		return mysql_packet_is_ok(packet, ret_status);
	*ret_status = little_endian(packet->kept + 3);
	return is_eof(packet);
}

bool mysql_answer_expect(struct mysql_answer *answer, enum mysql_kind kind)
{
	if (kind == MYSQL_UNANSWERED)
		return true;
	if (kind == MYSQL_REFUSED || answer->waiting == MYSQL_WAITING_MAX)
		return false;
	answer->kinds[answer->waiting++] = (uint8_t)kind;
	return true;
}

static void end_answer(struct mysql_answer *answer)
{
	answer->waiting--;
	memmove(answer->kinds, answer->kinds + 1, answer->waiting);
	answer->step = FIRST;
	answer->is_begun = false;
}

/* The end of a result set: of the answer as well, unless another one follows. */
static bool end_result(struct mysql_answer *answer, unsigned status)
{
	bool is_result = answer->kinds[0] == MYSQL_QUERY || answer->kinds[0] == MYSQL_EXECUTE;

	if (!(status & SERVER_MORE_RESULTS_EXISTS))
		end_answer(answer);
	answer->step = FIRST;
	return is_result || !(status & SERVER_MORE_RESULTS_EXISTS);
}

static bool begin_result(struct mysql_answer *answer, const struct mysql_packet *packet)
{
	const unsigned char *kept = packet->kept;
	size_t size = encoded_size(kept[0]);
	bool is_cached = false;

	if (size != 1 && size != 3) /* LOCAL INFILE, or what is none */
		return false;
	if (packet->size != size + answer->tells_cached)
		return false;
	answer->columns = (uint16_t)(size == 1 ? kept[0] : little_endian(kept + 1));
	if (answer->tells_cached && kept[size] > 1)
		return false;
	/* What the client has already is not sent again; the EOF behind it is. */
	is_cached = answer->tells_cached && kept[size] == 0;
	answer->step = COLUMNS;
	if (is_cached)
		answer->step = answer->without_eof ? ROWS : COLUMNS_END;
	return answer->columns > 0;
}

/* Goes on to the next step of a prepared statement that has something to come. */
static void go_on_statement(struct mysql_answer *answer)
{
	if (answer->params > 0)
		answer->step = PARAMS;
	else if (answer->step == PARAMS && !answer->without_eof)
		answer->step = PARAMS_END;
	else if (answer->columns > 0)
		answer->step = STATEMENT_COLUMNS;
	else if (answer->step == STATEMENT_COLUMNS && !answer->without_eof)
		answer->step = STATEMENT_COLUMNS_END;
	else
		end_answer(answer);
}

static bool begin_statement(struct mysql_answer *answer, const struct mysql_packet *packet)
{
	const unsigned char *kept = packet->kept;

	if (kept[0] != OK || packet->size != PREPARED_SIZE || kept[9] != 0)
		return false;
	answer->columns = (uint16_t)little_endian(kept + 5);
	answer->params = (uint16_t)little_endian(kept + 7);
	go_on_statement(answer);
	return true;
}

static bool take_error(struct mysql_answer *answer, const struct mysql_packet *packet)
{
	bool may_come = answer->step == FIRST || answer->step == ROWS;

	if (packet->size < 3 || !may_come)
		return false;
	if (little_endian(packet->kept + 1) == PROGRESS)
		return answer->has_progress && answer->step == FIRST;
	end_answer(answer);
	return true;
}

static bool take_rows(struct mysql_answer *answer, const struct mysql_packet *packet)
{
	unsigned status = 0;

	if (is_end(answer, packet, &status))
		return end_result(answer, status);
	/* A row may begin so, with a column of 16 MiB; then this is a part of that size. */
	return packet->kept[0] != END || packet->size == MYSQL_PART_MAX;
}

static bool take_first(struct mysql_answer *answer, const struct mysql_packet *packet)
{
	unsigned status = 0;

	switch ((enum mysql_kind)answer->kinds[0]) {
	case MYSQL_WORDS:
		end_answer(answer);
		return true;
	case MYSQL_FIELDS:
	case MYSQL_FETCH:
		answer->step = ROWS;
		return take_rows(answer, packet);
	case MYSQL_PREPARE:
		return begin_statement(answer, packet);
	case MYSQL_DONE:
		if (is_eof(packet) || is_end(answer, packet, &status))
			return end_result(answer, status);
		return packet->kept[0] == OK && mysql_packet_is_ok(packet, &status) &&
		       end_result(answer, status);
	default:
		if (packet->kept[0] != OK)
			return begin_result(answer, packet);
		return mysql_packet_is_ok(packet, &status) && end_result(answer, status);
	}
}

static bool end_columns(struct mysql_answer *answer, const struct mysql_packet *packet)
{
	if (!is_eof(packet))
		return false;
	answer->step = ROWS;
	if (!(little_endian(packet->kept + 3) & SERVER_STATUS_CURSOR_EXISTS))
		return true;
	/* The rows stay with the server until they are fetched. */
	if (answer->kinds[0] != MYSQL_EXECUTE)
		return false;
	end_answer(answer);
	return true;
}

/* A definition, which begins with the catalog "def". */
static bool take_definition(uint16_t *left, const struct mysql_packet *packet)
{
	(*left)--;
	return packet->size > 4 && memcmp(packet->kept, "\3def", 4) == 0;
}

static bool take_statement(struct mysql_answer *answer, const struct mysql_packet *packet)
{
	bool is_definition = answer->step == PARAMS || answer->step == STATEMENT_COLUMNS;
	uint16_t *left = answer->step == PARAMS ? &answer->params : &answer->columns;

	if (is_definition ? !take_definition(left, packet) : !is_eof(packet))
		return false;
	go_on_statement(answer);
	return true;
}

bool mysql_answer_take(struct mysql_answer *answer, const struct mysql_packet *packet)
{
	if (answer->waiting == 0 || packet->size == 0)
		return false;
	answer->is_begun = true;
	if (packet->kept[0] == ERR)
		return take_error(answer, packet);
	switch ((enum step)answer->step) {
	case FIRST:
		return take_first(answer, packet);
	case COLUMNS:
		if (!take_definition(&answer->columns, packet))
			return false;
		if (answer->columns == 0)
			answer->step = answer->without_eof ? ROWS : COLUMNS_END;
		return true;
	case COLUMNS_END:
		return end_columns(answer, packet);
	case ROWS:
		return take_rows(answer, packet);
	default:
		return take_statement(answer, packet);
	}
}
