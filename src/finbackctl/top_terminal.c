/*
 * Whether the terminal is one that ncurses knows. Apart from all else, because <term.h> makes
 * macros of words such as lines and columns.
 */
#include <ncurses.h>
#include <stddef.h>
#include <term.h>
#include <unistd.h>

#include "top.h"

bool top_terminal_is_known(void)
{
	int result;

	/* Asked here, because newterm() leaks where the answer is no. */
	if (setupterm(NULL, STDOUT_FILENO, &result) == ERR)
		return false;
	(void)del_curterm(cur_term);
	return true;
}
