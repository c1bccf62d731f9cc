/*
 * Memory by the page.
 */
#include <finback/daemon/pages.h>

#include <sys/mman.h>

void *pages_map(size_t size)
{
	/* Memory of no file has no descriptor, and is the caller's. */
	/* cppcheck-suppress invalidFunctionArg */
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	/* cppcheck-suppress memleak */
	return at == MAP_FAILED ? NULL : at;
}

void pages_unmap(void *at, size_t size)
{
	/* It fails where the kernel has no memory for the two halves of a mapping; then some of it
	 * stays. */
	if (size > 0)
		(void)munmap(at, size);
}

void *pages_resize(void *at, size_t from, size_t to)
{
	if (!at)
		return pages_map(to);
	at = mremap(at, from, to, MREMAP_MAYMOVE);
	return at == MAP_FAILED ? NULL : at;
}
