/* SPDX-License-Identifier: BSD-3-Clause */
/* Man pages and shell completion. */
#include "app/manual.h"

#include <stdio.h>
#include <string.h>

#include "app/frontends.h"
#include "app/options.h"
#include "ws_config.h"

const char manual_exit_codes[] =
    "Exit codes: 0 done; 1 damaged input, unknown FlowID, or something was lost by wirespool; 2 usage;\n"
    "3 environment (missing file, permission, disk, device).\n";

/* Text of a table, where a dash is a minus sign. */
static void put_roff(const char *text)
{
    for (; *text; text++) {
        if (*text == '-' || *text == '\\')
            putchar('\\');
        putchar(*text == '\\' ? 'e' : *text);
    }
}

static int print_front_end(const struct front_end *f)
{
    printf(".TH WIRESPOOL\\-%s 1 \"\" \"wirespool %s\" \"User Commands\"\n.SH NAME\nwirespool\\-%s \\- ", f->name,
           WS_VERSION, f->name);
    put_roff(f->summary);
    printf("\n.SH SYNOPSIS\n.B wirespool %s\n", f->name);
    put_roff(f->usage);
    printf("\n.br\n.B wirespool\\-%s\n", f->name);
    put_roff(f->usage);
    printf("\n.SH OPTIONS\n");
    ws_opts_man(stdout, f->table, 1);
    if (f->manual)
        fputs(f->manual, stdout);
    printf(".SH \"EXIT STATUS\"\n%s.SH \"SEE ALSO\"\n.BR wirespool (1)\n", manual_exit_codes);
    return 0;
}

static int print_wirespool(void)
{
    printf(".TH WIRESPOOL 1 \"\" \"wirespool %s\" \"User Commands\"\n"
           ".SH NAME\nwirespool \\- list, extract and reassemble captured traffic\n"
           ".SH SYNOPSIS\n",
           WS_VERSION);
    for (const struct command_info *c = commands; c->name; c++)
        printf(".B wirespool %s\n.br\n", c->usage);
    for (const struct front_end *f = front_ends; f->name; f++)
        printf(".B wirespool %s ...\n.br\n", f->name);
    for (const struct command_info *c = commands; c->name; c++) {
        printf(".SH \"COMMAND %s\"\n%s.\n", c->name, c->summary);
        ws_opts_man(stdout, options_table, (uint32_t)c->cmd);
    }
    printf(".SH \"EXIT STATUS\"\n%s", manual_exit_codes);
    if (front_ends[0].name)
        puts(".SH \"SEE ALSO\"");
    for (const struct front_end *f = front_ends; f->name; f++)
        printf(".BR wirespool\\-%s (1)%s\n", f->name, f[1].name ? "," : "");
    return 0;
}

int manual_print(const char *name)
{
    if (!name || strcmp(name, "wirespool") == 0)
        return print_wirespool();
    const struct front_end *f = front_end_of_program(name);
    if (f)
        return print_front_end(f);
    fprintf(stderr, "wirespool: no man page of '%s'\n", name);
    return 2;
}

/* A case of the script: the words that are options of a command. */
static void put_case(const char *name, const char *alias, const struct ws_opt *table, uint32_t command)
{
    printf("    %s%s%s) words=\"", name, alias ? "|" : "", alias ? alias : "");
    ws_opts_words(stdout, table, command);
    puts("\" ;;");
}

int manual_completion(const char *shell)
{
    if (!shell || strcmp(shell, "bash") != 0) {
        fprintf(stderr, "wirespool: --completion bash: no other shell is known\n");
        return 2;
    }
    puts("# bash completion of wirespool and its front-ends\n"
         "_wirespool() {\n"
         "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} name=${COMP_WORDS[0]##*/} words=\n"
         "  name=${name#wirespool-}\n"
         "  if [[ $name == wirespool ]]; then\n"
         "    if ((COMP_CWORD == 1)); then");
    fputs("      COMPREPLY=($(compgen -W \"", stdout);
    for (const struct command_info *c = commands; c->name; c++)
        printf("%s ", c->name);
    for (const struct front_end *f = front_ends; f->name; f++)
        printf("%s ", f->name);
    puts("--help --version --list-interfaces --man --completion\" -- \"$cur\"))\n"
         "      return\n"
         "    fi\n"
         "    name=${COMP_WORDS[1]}\n"
         "  fi\n"
         "  case $prev in\n"
         "    -i|--interface) COMPREPLY=($(compgen -W \"any $(command ls /sys/class/net 2>/dev/null)\" -- \"$cur\")); return ;;\n"
         "    -U|--user|--relinquish-privileges) COMPREPLY=($(compgen -u -- \"$cur\")); return ;;\n"
         "  esac\n"
         "  [[ $cur == -* ]] && case $name in");
    for (const struct command_info *c = commands; c->name; c++)
        put_case(c->name, NULL, options_table, (uint32_t)c->cmd);
    for (const struct front_end *f = front_ends; f->name; f++)
        put_case(f->name, f->alias, f->table, 1);
    fputs("  esac\n"
          "  if [[ $words ]]; then\n"
          "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
          "  else\n"
          "    COMPREPLY=($(compgen -f -- \"$cur\"))\n"
          "  fi\n"
          "}\n"
          "complete -o filenames -F _wirespool wirespool",
          stdout);
    for (const struct front_end *f = front_ends; f->name; f++)
        printf(" wirespool-%s", f->name);
    putchar('\n');
    return 0;
}
