#include "base/memory.h"

#include <link.h>
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* A segment of the file that is never written to: nothing of it can be lost. */
static void let_go(const struct dl_phdr_info *info, const ElfW(Phdr) * segment)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t start = info->dlpi_addr + segment->p_vaddr;
    uintptr_t end = start + segment->p_filesz;
    start = (start + page - 1) / page * page;
    end = end / page * page;
    if (end <= start)
        return;
    /* Advice only: a kernel that does not take it changes nothing. Where the page cache holds the
     * file in huge pages, one touch would bring 2 MiB back. */
    (void)madvise((void *)start, end - start, MADV_NOHUGEPAGE);
    (void)madvise((void *)start, end - start, MADV_DONTNEED);
}

static int each_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size, (void)arg;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD && !(info->dlpi_phdr[i].p_flags & PF_W))
            let_go(info, &info->dlpi_phdr[i]);
    return 1; /* the first object is the program itself */
}

void memory_give_back(void)
{
    malloc_trim(0);
    dl_iterate_phdr(each_object, NULL);
}
