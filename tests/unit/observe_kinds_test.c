/* What the table of kinds needs outside of it: the API client's row and the operator's rights. */
#include "test.h"

#include "api/children.h"
#include "base/arena.h"
#include "base/file.h"
#include "kube/kinds.h"

static void the_client_knows_every_kind_and_the_operator_has_a_right_to_it(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct error err;
    char *rights;
    assert_int_equal(
        file_read(arena, "manifests/install/clusterrole.yaml", 65536, &rights, NULL, &err), 0);
    for (int i = 0; i < CHILD_KINDS; i++) {
        const struct kube_kind *kind =
            kube_kind_find(api_child_infos[i].api_version, api_child_infos[i].kind);
        if (kind == NULL || strstr(rights, kind->plural) == NULL)
            fail_msg("%s: %s", api_child_infos[i].kind,
                     kind ? "manifests/install/clusterrole.yaml does not name it"
                          : "pkg/kube/kinds.c does not have it");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_client_knows_every_kind_and_the_operator_has_a_right_to_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
