#include "base/memory.h"

#include <link.h>
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PIECE_BYTES = 16 * 1024 };

/* Splits the segment into small mappings. Touching one page brings back the whole folio of the page
 * cache, up to 2 MiB (Linux from 6.18 on), but never more than one mapping. MADV_DONTDUMP on every
 * second piece makes each piece a mapping of its own; core dumps do not contain code anyway. The
 * first piece stays in, because debuggers look for the build ID there. */
static void make_small(uintptr_t start, uintptr_t end)
{
    for (uintptr_t at = start + PIECE_BYTES; at < end; at += 2 * PIECE_BYTES)
        (void)madvise((void *)at, end - at < PIECE_BYTES ? end - at : PIECE_BYTES, MADV_DONTDUMP);
}

/* Only for segments that are never written to, so that nothing can be lost. */
static void let_go(const struct dl_phdr_info *info, const ElfW(Phdr) * segment)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t start = info->dlpi_addr + segment->p_vaddr;
    uintptr_t end = start + segment->p_filesz;
    start = (start + page - 1) / page * page;
    end = end / page * page;
    if (end <= start)
        return;
    /* Only advice: a kernel that ignores it does no harm. */
    (void)madvise((void *)start, end - start, MADV_NOHUGEPAGE);
    make_small(start, end);
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
