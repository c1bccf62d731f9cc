/*
 * The keyboard of `top`. While a question is open, the next key is its answer and nothing else.
 */
#include <ncurses.h>
#include <stdio.h>

#include "top.h"

#define ESCAPE   27
#define KEYS_MAX 64 /* taken at a time; more wait for the next turn */

static bool is_enter(int key)
{
	return key == '\n' || key == '\r' || key == KEY_ENTER;
}

static void answer_question(struct top *top, int key)
{
	top->message[0] = '\0';
	top->is_trouble = false;
	if (key == 'y' || key == 'Y') {
		top->kill_id = top->question_id;
		top->is_hurried = true;
	}
	top->question_id = 0;
}

static uint64_t selected_id(const struct top *top)
{
	return top->selected < top->rows.count ? top->rows.rows[top->selected].id : 0;
}

static void select_row(struct top *top, size_t row)
{
	if (top->rows.count == 0)
		return;
	top->selected = row < top->rows.count ? row : top->rows.count - 1;
	top->selected_id = top->rows.rows[top->selected].id;
}

static void set_order(struct top *top, enum top_order order)
{
	top->order = order;
	top->first_row = 0; /* as far up as the selection allows */
	top_rows_sort(&top->rows, order);
	top_select_again(top);
}

static void set_filter(struct top *top, enum top_filter filter)
{
	top->filter = filter;
	top->selected = 0;
	top->selected_id = 0;
	top->first_row = 0;
	top->is_hurried = true;
}

static void explain(struct top *top)
{
	uint64_t id = selected_id(top);

	if (!id)
		return;
	top->selected_id = id;
	top->explained_id = id;
	top->first_line = 0;
	top->is_hurried = true;
}

static void go_back(struct top *top)
{
	top->explained_id = 0;
	json_decref(top->session);
	top->session = NULL;
	top->message[0] = '\0';
	top->is_trouble = false;
	top->is_hurried = true;
}

static void on_explanation_key(struct top *top, int key)
{
	size_t page = (size_t)top_screen_room(top);

	switch (key) {
	case 'k':
		top->question_id = top->explained_id;
		break;
	case KEY_UP:
		top->first_line -= top->first_line > 0;
		break;
	case KEY_DOWN:
		top->first_line++; /* drawing keeps it within bounds */
		break;
	case KEY_PPAGE:
		top->first_line -= top->first_line < page ? top->first_line : page;
		break;
	case KEY_NPAGE:
		top->first_line += page;
		break;
	default:
		if (key == 'q' || key == ESCAPE || key == KEY_LEFT || is_enter(key))
			go_back(top);
		break;
	}
}

/* Returns whether the key was one that moves the selection. */
static bool move_selection(struct top *top, int key)
{
	size_t page = (size_t)top_screen_room(top);
	size_t row = top->selected;

	switch (key) {
	case KEY_UP:
		row -= row > 0;
		break;
	case KEY_DOWN:
		row++;
		break;
	case KEY_PPAGE:
		row -= row < page ? row : page;
		break;
	case KEY_NPAGE:
		row += page;
		break;
	case KEY_HOME:
		row = 0;
		break;
	case KEY_END:
		row = TOP_ROWS_MAX;
		break;
	default:
		return false;
	}
	select_row(top, row);
	return true;
}

static void on_list_key(struct top *top, int key)
{
	static const char orders[] = "rbaid"; /* in the order of enum top_order */

	if (move_selection(top, key))
		return;
	for (int order = 0; order < TOP_ORDERS; order++)
		if (key == orders[order])
			set_order(top, (enum top_order)order);
	if (key >= '1' && key < '1' + TOP_FILTERS)
		set_filter(top, (enum top_filter)(key - '1'));
	if (key == 'k')
		top->question_id = selected_id(top);
	if (key == 'q')
		top->is_over = true;
	if (is_enter(key))
		explain(top);
}

bool top_keys_read(struct top *top)
{
	bool has_any = false;
	int key;

	for (int i = 0; i < KEYS_MAX && !top->is_over && (key = getch()) != ERR; i++) {
		has_any = true;
		if (key == KEY_RESIZE) /* nobody pressed it; the window is drawn anew */
			continue;
		if (top->question_id)
			answer_question(top, key);
		else if (top->explained_id)
			on_explanation_key(top, key);
		else
			on_list_key(top, key);
	}
	return has_any;
}
