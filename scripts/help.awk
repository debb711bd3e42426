# Print the targets of a Makefile in groups, from lines such as `up: needs ## Run: start it`.
# The group Run is explained line by line, the others are lists of names, so that all of it fits a screen;
# `-v group=Watch` explains that group, `-v group=all` every one.
/^[a-z0-9-]+:.* ## [A-Z][a-z]+: / {
    target = substr($0, 1, index($0, ":") - 1)
    text = substr($0, index($0, " ## ") + 4)
    name = substr(text, 1, index(text, ":") - 1)
    if (!(name in count)) order[++groups] = name
    targets[name, ++count[name]] = target
    texts[name, count[name]] = substr(text, length(name) + 3)
}
END {
    known = group == "" || group == "all"
    for (number = 1; number <= groups; number++) {
        names = names " " tolower(order[number])
        if (tolower(group) == tolower(order[number])) known = 1
    }
    if (!known) {
        print "error: There is no group " group ":" names " all" > "/dev/stderr"
        exit 2
    }
    print "Langfuse Stack: make TARGET [SETTING=value ...]"
    for (number = 1; number <= groups; number++) {
        name = order[number]
        if (group == "" && name != "Run") list(name)
        else if (group == "" || group == "all" || tolower(group) == tolower(name)) explain(name)
    }
    print "More on a group: make help GROUP=watch (or all). First steps: README.md."
}
function explain(name,    row) {
    for (row = 1; row <= count[name]; row++)
        printf "%-8s %-15s %s\n", row == 1 ? name : "", targets[name, row], texts[name, row]
}
function list(name,    row, line) {
    line = sprintf("%-8s", name)
    for (row = 1; row <= count[name]; row++) {
        if (length(line " " targets[name, row]) > 79) { print line; line = sprintf("%-8s", "") }
        line = line " " targets[name, row]
    }
    print line
}
