package servers

import (
	"context"
	"slices"

	"github.com/adamant-sh/adamant/internal/servers/inventory"
)

// The types of inventories.
type (
	Host             = inventory.Host
	Inventory        = inventory.Inventory
	InventoryOptions = inventory.Options
	Selection        = inventory.Selection
	Refusal          = inventory.Refusal
)

// LoadInventory reads inventories and ssh_config.
func LoadInventory(ctx context.Context, o InventoryOptions) (Inventory, error) {
	return inventory.Load(ctx, o)
}

// Names returns the names of hosts and of their groups, sorted.
func Names(hosts []Host) []string {
	var names []string
	for _, h := range hosts {
		names = append(append(names, h.Name), h.Groups...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// A Login is how a user logs in to servers whose inventory leaves that open.
type Login struct {
	Sudo            bool // become root on all of them
	AskPassword     bool // to log in
	AskSudoPassword bool
}

// Complete adds the login to all hosts. The inventory comes first. Each password is
// requested once, with ask.
func (l Login) Complete(ask func(prompt string) (string, error), groups ...[]Host) error {
	var password, sudoPassword string
	var err error
	if l.AskPassword {
		if password, err = ask("password: "); err != nil {
			return err
		}
	}
	if l.AskSudoPassword {
		if sudoPassword, err = ask("password for sudo: "); err != nil {
			return err
		}
	}
	for _, hosts := range groups {
		for i := range hosts {
			l.complete(&hosts[i], inventory.NewSecret(password), inventory.NewSecret(sudoPassword))
		}
	}
	return nil
}

func (l Login) complete(h *Host, password, sudoPassword inventory.Secret) {
	if l.Sudo && !h.Become.On {
		h.Become = inventory.Become{On: true, User: "root", Password: h.Become.Password}
	}
	if h.Become.Password.IsZero() {
		h.Become.Password = sudoPassword
	}
	if h.Password.IsZero() {
		h.Password = password
	}
}
